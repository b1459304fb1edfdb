# SPDX-License-Identifier: Apache-2.0
"""What a program has for itself, and what the host sees of it."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import fixtures
import testtools

from zsbm_ironic.lab.cloud import own_folders

# Starts a process that leaves its parent, and says which.
PARENT = (
    'import subprocess, sys, time\n'
    'words = [sys.executable, "-c", "import time; time.sleep(60)"]\n'
    'subprocess.Popen([*words, sys.argv[1]], start_new_session=True)\n'
    'print("started", flush=True)\n'
    'time.sleep(60)\n'
)


class OwnFoldersTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('a mount namespace needs root')
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.place = self.root / 'place'

    def run_in(self, *words, **how):
        done = subprocess.run(
            own_folders.argv(words, **how),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def test_a_folder_is_the_lab_s_and_the_host_s_stays_empty(self):
        mine = self.root / 'mine'
        mine.mkdir()
        (mine / 'file').write_text('of the lab')
        said = self.run_in(
            *('cat', f'{self.place}/file'), own={str(self.place): mine}
        )
        self.assertEqual('of the lab', said)
        self.assertEqual([], list(self.place.iterdir()))

    def test_a_file_is_the_lab_s(self):
        mine = self.root / 'mine'
        mine.write_text('of the lab')
        self.place.write_text('of the host')
        said = self.run_in('cat', str(self.place), own={str(self.place): mine})
        self.assertEqual('of the lab', said)
        self.assertEqual('of the host', self.place.read_text())

    def test_an_empty_folder_goes_with_the_program(self):
        self.place.mkdir()
        (self.place / 'file').write_text('of the host')
        said = self.run_in(
            *('sh', '-c', f'ls {self.place}; touch {self.place}/other'),
            own={},
            empty=[str(self.place)],
        )
        self.assertEqual('', said)
        self.assertEqual(['file'], os.listdir(self.place))

    def test_it_sees_a_name_of_its_own(self):
        said = self.run_in('uname', '-n', own={}, hostname='another')
        self.assertEqual('another\n', said)
        self.assertNotEqual('another', os.uname().nodename)

    def test_what_it_started_ends_with_it(self):
        mark = f'zsbm-{os.getpid()}-mark'
        words = (sys.executable, '-c', PARENT, mark)
        with subprocess.Popen(
            own_folders.argv(words, own={}, alone=True),
            stdout=subprocess.PIPE,
            text=True,
        ) as program:
            self.assertEqual('started\n', program.stdout.readline())
            self.assertEqual(3, len(_pids(mark)))
            program.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 10
        while _pids(mark):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


def _pids(mark):
    """Return the processes whose command line has this word."""
    found = []
    for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_bytes().split(b'\0')
        except OSError:
            continue
        if mark.encode() in words:
            found.append(int(path.parent.name))
    return found
