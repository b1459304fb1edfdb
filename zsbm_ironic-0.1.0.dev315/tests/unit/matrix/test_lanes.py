# SPDX-License-Identifier: Apache-2.0
"""A lane is a machine to itself, as far as a row can tell."""

import os
import pathlib
import secrets
import subprocess

import testtools

from tests.matrix import lanes, rows


class LaneTest(testtools.TestCase):
    def test_what_a_row_does_stays_in_its_lane(self) -> None:
        if os.geteuid() != 0:
            self.skipTest('only root makes namespaces')
        name = f'zsbm-lab-{secrets.token_hex(4)}'
        host = pathlib.Path('/var/lib', name)
        host.mkdir()
        self.addCleanup(host.rmdir)
        with lanes._folder() as folder:
            for sub in ('upper', 'work'):
                (folder / sub).mkdir()
            # The host's lab is not there; its own is, for the next row too.
            self.assertEqual('0 1\n', self._enter(folder, name))
            self.assertEqual('1 1\n', self._enter(folder, name))
        self.assertFalse(pathlib.Path('/run/netns', name).exists())
        self.assertEqual([], list(host.iterdir()))
        self.assertFalse(folder.exists())

    def _enter(self, folder: pathlib.Path, name: str) -> str:
        script = (
            'seen=$(ls -d /var/lib/"$1" 2>/dev/null | wc -l); '
            'mkdir -p /var/lib/"$1"; : > /var/lib/"$1"/file; '
            'ip netns add "$1"; echo "$seen $$"'
        )
        return subprocess.run(
            [
                *('unshare', '--mount', '--pid', '--fork', '--mount-proc'),
                *('--kill-child', 'sh', '-ec', lanes.ENTER, 'lane', folder),
                *('sh', '-ec', script, 'sh', name),
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout

    def test_a_row_without_a_closing_line_has_failed(self) -> None:
        row = rows.Row('faults', 'x', ())
        self.assertEqual(1, lanes._outcome(row, 'killed\n').failed)
        found = lanes._outcome(
            row, 'x\nin 1 s\n3 passed, 1 failed, 2 skipped\n'
        )
        self.assertEqual(
            (3, 1, 2), (found.passed, found.failed, found.skipped)
        )
