# SPDX-License-Identifier: Apache-2.0
"""An entry of the cache is whole, or it is not there."""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import time

import fixtures
from oslotest import base

from zsbm_ironic.common import artifacts, exception

# Builds entry `key` slowly: says so in the log, writes a half, waits, ends.
BUILDER = """
import pathlib, sys, time
from zsbm_ironic.common import artifacts
root, log, pause_s = sys.argv[1:]
def build(target, report):
    with open(log, 'a') as sink:
        sink.write('built\\n')
    (target / 'half').write_text('x')
    time.sleep(float(pause_s))
    (target / 'whole').write_text('x')
artifacts.Artifacts(pathlib.Path(root)).get('kind', 'key', build)
"""


def write(name, content='x'):
    return lambda target, report: (target / name).write_text(content)


class TestDigest(base.BaseTestCase):
    def test_order_of_the_parts_does_not_matter(self):
        self.assertEqual(
            artifacts.digest({'a': '1', 'b': b'2'}),
            artifacts.digest({'b': b'2', 'a': '1'}),
        )

    def test_content_that_moves_between_parts_is_another_digest(self):
        self.assertNotEqual(
            artifacts.digest({'a': '12', 'b': ''}),
            artifacts.digest({'a': '1', 'b': '2'}),
        )


class TestArtifacts(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cache = artifacts.Artifacts(self.root)

    def names(self):
        return sorted(path.name for path in (self.root / 'kind').iterdir())

    def start_builder(self, pause_s):
        process = subprocess.Popen(
            [sys.executable, '-c', BUILDER, self.root]
            + [self.root / 'log', str(pause_s)],
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_a_second_call_does_not_build(self):
        first = self.cache.get('kind', 'key', write('a'))
        second = self.cache.get('kind', 'key', self.fail)
        self.assertEqual(first, second)
        self.assertTrue((second / 'a').exists())

    def test_refresh_replaces_an_entry(self):
        self.cache.get('kind', 'key', write('old'))
        again = artifacts.Artifacts(self.root, refresh=True)
        found = again.get('kind', 'key', write('new'))
        self.assertEqual(['new'], os.listdir(found))
        self.assertEqual(['.lock', 'key'], self.names())

    def test_a_builder_that_fails_leaves_nothing(self):
        def build(target, report):
            (target / 'half').touch()
            raise exception.BuildFailed(what='it', why='because')

        self.assertRaises(
            exception.BuildFailed, self.cache.get, 'kind', 'key', build
        )
        self.assertEqual(['.lock'], self.names())

    def test_a_killed_builder_leaves_no_entry_and_its_rest_is_removed(self):
        process = self.start_builder(pause_s=60)
        half = self.root / 'kind' / '.partial-key' / 'half'
        for _ in range(300):
            if half.exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertIsNone(self.cache.find('kind', 'key'))
        found = self.cache.get('kind', 'key', write('whole'))
        self.assertEqual(['whole'], os.listdir(found))
        self.assertEqual(['.lock', 'key'], self.names())

    def test_parallel_builders_build_once(self):
        processes = [self.start_builder(pause_s=1) for _ in range(3)]
        self.assertEqual([0, 0, 0], [each.wait() for each in processes])
        self.assertEqual('built\n', (self.root / 'log').read_text())

    def test_the_most_recently_used_entries_stay(self):
        for number in range(4):
            self.cache.get('kind', f'key{number}', write('a'))
            os.utime(self.root / 'kind' / f'key{number}', (number, number))
        self.cache.find('kind', 'key1')
        self.cache.get('kind', 'new', write('a'))
        self.assertEqual(['.lock', 'key1', 'key3', 'new'], self.names())

    def test_too_little_room_is_said_before_building(self):
        found = self.assertRaises(
            exception.DiskTooSmall,
            self.cache.get,
            'kind',
            'key',
            self.fail,
            needs_bytes=1 << 60,
        )
        self.assertIn(str(self.root), str(found))

    def test_a_disk_that_runs_full_is_named(self):
        def build(target, report):
            raise OSError(errno.ENOSPC, 'No space left on device')

        self.assertRaises(
            exception.DiskTooSmall, self.cache.get, 'kind', 'key', build
        )
        self.assertEqual(['.lock'], self.names())

    def test_a_program_that_met_a_full_disk_is_no_riddle(self):
        def build(target, report):
            raise exception.BuildFailed(
                what='it', why='mke2fs: No space left on device'
            )

        self.assertRaises(
            exception.DiskTooSmall, self.cache.get, 'kind', 'key', build
        )
