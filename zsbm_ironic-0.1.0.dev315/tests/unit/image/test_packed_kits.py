# SPDX-License-Identifier: Apache-2.0
"""Kits that are served: whole, found by name, and not too many."""

import json
import os
import pathlib

import fixtures
import testtools

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, kits, packed_kits


class PackedKitsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.served = self.folder / 'served'

    def kit(self, release: str = '6.1.0-10-amd64') -> kits.Kit:
        """Return a kit that has little in it."""
        folder = self.folder / release
        (folder / 'modules/kernel').mkdir(parents=True)
        (folder / 'packages').mkdir()
        (folder / kits.FACTS).write_text(json.dumps({'release': release}))
        (folder / 'vmlinuz').write_bytes(os.urandom(100_000))
        for number in range(300):
            (folder / f'modules/kernel/{number}.ko').write_bytes(b'code')
        return kits.read(folder)

    def publish(self, kit: kits.Kit) -> pathlib.Path:
        return packed_kits.publish(kit, self.served, 'debian 12', 'x86_64')

    def test_all_of_a_kit_is_in_its_file(self) -> None:
        kit = self.kit()
        file = self.publish(kit)
        out = self.folder / 'vmlinuz'
        process.run(
            ['debugfs', '-R', f'dump /vmlinuz {out}', file], timeout_s=60
        )
        self.assertEqual(kit.kernel.read_bytes(), out.read_bytes())
        listed = process.run(
            ['debugfs', '-R', 'ls -p /modules/kernel', file], timeout_s=60
        ).stdout
        self.assertEqual(300, listed.count('.ko/'))
        process.run(['e2fsck', '-fn', file], timeout_s=60)

    def test_it_is_found_by_its_name(self) -> None:
        file = self.publish(self.kit())
        (found,) = packed_kits.served(self.served).values()
        self.assertEqual(file.name, found.file)
        self.assertEqual(file.stat().st_size, found.size_bytes)
        self.assertIn(found.sha256[:12], file.name)
        name = packed_kits.name_of('debian 12', 'x86_64')
        self.assertIn(name, packed_kits.served(self.served))
        for path in self.served.iterdir():
            self.assertEqual(0o644, path.stat().st_mode & 0o777)

    def test_one_that_is_being_fetched_stays(self) -> None:
        files = []
        for number in range(3):
            files.append(self.publish(self.kit(f'6.1.0-{number}-amd64')))
            os.utime(files[-1], (number, number))
        there = sorted(self.served.glob('*.kit'))
        self.assertEqual(sorted(files[1:]), there)

    def test_a_folder_that_is_not_there_serves_nothing(self) -> None:
        self.assertEqual({}, packed_kits.served(self.served))

    def test_what_is_no_description(self) -> None:
        self.served.mkdir()
        path = self.served / 'debian-12-x86_64.json'
        for text in ('', '[]', '{"file": "a"}', '{"size_bytes": "many"}'):
            path.write_text(text)
            error = self.assertRaises(
                exception.KitsUnreadable, packed_kits.served, self.served
            )
            self.assertIn(str(path), str(error))

    def test_nothing_is_left_of_one_that_cannot_be_written(self) -> None:
        self.assertRaises(
            common_exception.ProcessFailed,
            self.publish,
            kits.Kit(self.folder / 'absent', '6.1.0-10-amd64'),
        )
        self.assertEqual([], list(self.served.iterdir()))
