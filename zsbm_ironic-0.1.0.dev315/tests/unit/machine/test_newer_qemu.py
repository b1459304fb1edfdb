# SPDX-License-Identifier: Apache-2.0
"""QEMU of another release: how it is started, and found by a machine.

That the real one boots is shown by tests/functional/test_netboot_loaders.
"""

import os
import pathlib

import fixtures
from oslotest import base

from zsbm_ironic import machine
from zsbm_ironic.common import artifacts, exception, process
from zsbm_ironic.machine import firmware, newer_qemu

# In place of the dynamic loader: says what it was told to start.
LOADER = '#!/bin/sh\necho "$QEMU_MODULE_DIR" "$@"\n'


class TestNewerQemu(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.newer = newer_qemu.NewerQemu(
            self.root / newer_qemu.KIND / newer_qemu.key()
        )

    def unpacked(self, loader=LOADER):
        libraries = self.newer.folder / 'root/usr/lib/x86_64-linux-gnu'
        libraries.mkdir(parents=True)
        path = libraries / 'ld-linux-x86-64.so.2'
        path.write_text(loader)
        path.chmod(0o755)
        program = self.newer.program('riscv64')
        newer_qemu._make_program(program, 'riscv64')
        return libraries

    def test_everything_comes_from_its_own_folder(self):
        libraries = self.unpacked()
        environment = self.newer.environment(os.environ['PATH'])
        done = process.run(
            ['qemu-system-riscv64', '-name', 'a b'],
            timeout_s=10,
            env=environment,
        )
        root = self.newer.folder / 'bin/../root'
        self.assertEqual(
            f'{root}/usr/lib/x86_64-linux-gnu/qemu '
            f'--library-path {root}/usr/lib/x86_64-linux-gnu '
            f'{root}/usr/bin/qemu-system-riscv64 -L {root}/usr/share/qemu '
            '-name a b\n',
            done.stdout,
        )
        self.assertTrue(
            (root / 'usr/lib/x86_64-linux-gnu').samefile(libraries)
        )

    def test_what_does_not_start_here_is_not_kept(self):
        error = self.assertRaises(
            exception.BuildFailed,
            self.unpacked,
            '#!/bin/sh\necho no libfoo >&2\nexit 1\n',
        )
        self.assertIn('no libfoo', str(error))

    def test_what_is_there_is_not_fetched(self):
        self.newer.folder.mkdir(parents=True)
        found = newer_qemu.fetch(artifacts.Artifacts(self.root))
        self.assertEqual(self.newer, found)

    def test_a_machine_finds_the_firmware_by_its_environment(self):
        self.newer.firmware.mkdir(parents=True)
        for name in ('RISCV_VIRT_CODE.fd', 'RISCV_VIRT_VARS.fd'):
            (self.newer.firmware / name).touch()
        for name, text in self.newer.environment('/bin').items():
            self.useFixture(fixtures.EnvironmentVariable(name, text))
        spec = machine.MachineSpec(
            'm1', machine.Firmware.UEFI, self.root, 'riscv64'
        )
        self.assertEqual(
            self.newer.firmware / 'RISCV_VIRT_CODE.fd',
            firmware.flash_for(spec).code,
        )
