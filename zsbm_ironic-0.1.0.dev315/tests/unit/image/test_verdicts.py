# SPDX-License-Identifier: Apache-2.0
"""`zsbm-image check --keep`, and what a conductor reads of it."""

import contextlib
import dataclasses
import io
import pathlib
import stat

import fixtures
import testtools

from tests.unit.image import made_up
from zsbm_ironic.image import cli, exception, hardware, verdict, verdicts

MAC = '52:54:00:5a:00:07'


class VerdictsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.kept = self.folder / 'kept'
        self.kept.mkdir()
        self.image = made_up.Image(self.folder)

    def check(self, *names: str) -> verdicts.Kept:
        path = self.folder / 'disk.raw'
        if not path.exists():
            self.image.write()
        wanted = [word for name in names for word in ('--hardware', name)]
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            cli.main(['check', str(path), '--keep', str(self.kept), *wanted])
        found = verdicts.read(self.kept, verdicts.sha256(path))
        assert found is not None
        return found

    def test_one_check_after_the_other(self) -> None:
        self.check('bios-sata')
        found = self.check('uefi-nvme')
        for name, level in (
            ('bios-sata', verdict.Level.FIT),
            ('uefi-nvme', verdict.Level.UNFIT),
        ):
            one = found.of(hardware.PROFILES[name])
            assert one is not None
            self.assertEqual(level, one.level)
        self.assertIsNone(found.of(hardware.PROFILES['vm-bios']))
        self.assertTrue(found.untouched)
        (file,) = self.kept.iterdir()
        self.assertEqual(0o640, stat.S_IMODE(file.stat().st_mode))

    def test_one_that_ran(self) -> None:
        self.image.files['etc/machine-id'] = b'0' * 32 + b'\n'
        self.assertFalse(self.check('bios-sata').untouched)

    def test_servers_of_a_kind_are_the_same(self) -> None:
        server = hardware.PROFILES['bios-sata']
        same = dataclasses.replace(server.with_macs([MAC]), name='web-3')
        self.assertEqual(verdicts.key(server), verdicts.key(same))
        for other in (
            dataclasses.replace(server, disk_bytes=1 << 40),
            dataclasses.replace(server, nics=()),
            dataclasses.replace(server, firmware=hardware.Firmware.UEFI),
        ):
            self.assertNotEqual(verdicts.key(server), verdicts.key(other))

    def test_nothing_is_known(self) -> None:
        for digest in ('0' * 64, '../../etc/passwd', ''):
            self.assertIsNone(verdicts.read(self.kept, digest))
        missing = self.folder / 'missing'
        self.assertIsNone(verdicts.read(missing, '0' * 64))

    def test_a_file_of_somebody_else(self) -> None:
        for text in ('', '[]', '{}', '{"untouched": 1, "servers": {"a": 1}}'):
            (self.kept / f'{"0" * 64}.json').write_text(text)
            self.assertRaises(
                exception.VerdictsUnreadable,
                verdicts.read,
                self.kept,
                '0' * 64,
            )

    def test_a_folder_that_is_not_there(self) -> None:
        said = io.StringIO()
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(said),
        ):
            status = cli.main(
                ['check', str(self.image.write())]
                + ['--keep', str(self.folder / 'missing')]
            )
        self.assertEqual(1, status)
        self.assertIn('missing', said.getvalue())
