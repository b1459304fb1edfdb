# SPDX-License-Identifier: Apache-2.0
"""Real firmware in QEMU takes its loader from zsbm-netboot and runs iPXE.

No system is booted: the script that iPXE is given fetches one more file,
whose name says where iPXE runs, and that request is the proof.
"""

import os
import pathlib
import shutil
import subprocess

import fixtures
import testtools
from oslotest import base

from tests.functional import netboot_bench
from zsbm_ironic import machine
from zsbm_ironic.common import artifacts
from zsbm_ironic.machine import firmware, newer_qemu
from zsbm_ironic.netboot import arch
from zsbm_ironic.netboot import loaders as loaders_room

MAC = '52:54:00:aa:00:01'
SCRIPT = (
    '#!ipxe\nchain http://198.51.100.1:8080/here-${platform}-${buildarch}\n'
)
TIMEOUT_S = 240
CACHE = artifacts.Artifacts(
    pathlib.Path(os.environ.get('ZSBM_LAB_CACHE', '/var/cache/zsbm-lab'))
)
HOST_LOADERS = {
    'x86-bios': '/usr/lib/ipxe/undionly.kpxe',
    'x86-64-uefi': '/usr/lib/ipxe/snponly.efi',
}
FETCHED = {
    'arm64-uefi': 'arm64/ipxe.efi',
    'riscv64-uefi': 'riscv64/ipxe.efi',
    'loongarch64-uefi': 'loong64/ipxe.efi',
}
OVMF = pathlib.Path('/usr/share/OVMF')
AAVMF = pathlib.Path('/usr/share/AAVMF')


def _loaders():
    fetched = loaders_room.fetch(CACHE)
    return HOST_LOADERS | {
        name: str(fetched.path(path)) for name, path in FETCHED.items()
    }


class TestLoaders(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        loaders = _loaders()
        text = ','.join(f'{name}:{path}' for name, path in loaders.items())
        self.bench = self.useFixture(
            netboot_bench.NetbootBench(f'loaders = {text}')
        )
        self.http = self.bench.root / 'http'
        for root in (self.http, self.bench.root / 'tftp'):
            arch.place_loaders(loaders, root)
        (self.http / 'boot.ipxe').write_text(SCRIPT)
        self.bench.serve(MAC, script='http://198.51.100.1:8080/boot.ipxe')

    def boot(self, program, *arguments, device, rom='', first=True):
        if shutil.which(program) is None:
            self.skipTest(f'no {program} on this host')
        self.bench.ip(
            *('-n', self.bench.server, 'tuntap', 'add', 'tap0', 'mode', 'tap')
        )
        self.bench.ip(
            *('-n', self.bench.server, 'link', 'set', 'tap0'),
            *('master', 'br0', 'up'),
        )
        network = f'{device},netdev=lan,mac={MAC}{rom}'
        if first:
            network += ',bootindex=0'
        machine = subprocess.Popen(
            [
                *('ip', 'netns', 'exec', self.bench.server, program),
                *('-accel', 'tcg', '-m', '512', '-display', 'none'),
                *('-serial', f'file:{self.bench.root}/serial'),
                *('-netdev', 'tap,id=lan,ifname=tap0,script=no,downscript=no'),
                *('-device', network, *arguments),
            ],
            stdout=subprocess.DEVNULL,
        )
        self.addCleanup(machine.wait)
        self.addCleanup(machine.kill)

    def variables(self, template):
        """Return a copy of a firmware's variables, for one machine."""
        copy = self.bench.root / 'vars.fd'
        shutil.copyfile(template, copy)
        return copy

    def uefi(self, code, template, *arguments):
        if not code.exists():
            self.skipTest(f'no {code} on this host')
        return (
            *('-drive', f'if=pflash,format=raw,readonly=on,file={code}'),
            '-drive',
            f'if=pflash,format=raw,file={self.variables(template)}',
            *arguments,
        )

    def boot_newer(self, architecture):
        """Boot one of the architectures that need a newer QEMU."""
        newer = newer_qemu.fetch(CACHE)
        self.useFixture(
            fixtures.EnvironmentVariable(
                'ZSBM_FIRMWARE_DIR', str(newer.firmware)
            )
        )
        flash = firmware.flash_for(
            machine.MachineSpec(
                'm1', machine.Firmware.UEFI, self.bench.root, architecture
            )
        )
        self.boot(
            str(newer.program(architecture)),
            *self.uefi(flash.code, flash.variables),
            *('-nodefaults', '-M', 'virt', '-cpu', 'max'),
            *('-device', 'virtio-rng-pci'),
            device='virtio-net-pci',
            rom=',romfile=',
            first=False,
        )

    def events(self):
        return [
            (event.source, event.name, event.detail)
            for event in self.bench.status.events(MAC)
        ]

    def assert_ipxe_ran(self, where):
        def ran():
            return [
                detail
                for _source, _name, detail in self.events()
                if f'/here-{where}' in detail
            ]

        try:
            netboot_bench.wait_for(ran, TIMEOUT_S)
        except AssertionError:
            serial = self.bench.root / 'serial'
            self.addDetail(
                'serial',
                testtools.content.text_content(
                    serial.read_text(errors='replace')[-3000:]
                ),
            )
            raise

    def assert_loader(self, source):
        self.assertIn(
            (source, 'loader'),
            [(event[0], event[1]) for event in self.events()],
        )

    def test_bios_with_an_ipxe_rom_goes_straight_to_the_script(self):
        self.boot('qemu-system-x86_64', '-M', 'q35', device='e1000e', rom='')
        self.assert_ipxe_ran('pcbios')
        self.assertNotIn('loader', [event[1] for event in self.events()])

    def test_uefi_without_rom_takes_the_loader_by_tftp(self):
        self.boot(
            'qemu-system-x86_64',
            *self.uefi(OVMF / 'OVMF_CODE_4M.fd', OVMF / 'OVMF_VARS_4M.fd'),
            *('-M', 'q35', '-device', 'virtio-rng-pci'),
            device='virtio-net-pci',
            rom=',romfile=',
        )
        self.assert_ipxe_ran('efi-x86_64')
        self.assert_loader('tftp')

    def test_uefi_that_boots_by_http_takes_the_loader_by_http(self):
        self.boot(
            'qemu-system-x86_64',
            *self.uefi(OVMF / 'OVMF_CODE_4M.fd', OVMF / 'OVMF_VARS_4M.fd'),
            *('-M', 'q35', '-device', 'virtio-rng-pci'),
            *('-fw_cfg', 'name=opt/org.tianocore/IPv4PXESupport,string=n'),
            *('-fw_cfg', 'name=opt/org.tianocore/IPv6PXESupport,string=n'),
            device='virtio-net-pci',
            rom=',romfile=',
        )
        self.assert_ipxe_ran('efi-x86_64')
        self.assert_loader('http')

    def test_arm64_uefi_takes_its_loader(self):
        self.boot(
            'qemu-system-aarch64',
            *self.uefi(AAVMF / 'AAVMF_CODE.fd', AAVMF / 'AAVMF_VARS.fd'),
            *('-M', 'virt', '-cpu', 'cortex-a57'),
            *('-device', 'virtio-rng-pci'),
            device='virtio-net-pci',
            rom=',romfile=',
        )
        self.assert_ipxe_ran('efi-arm64')
        self.assert_loader('tftp')

    def test_riscv64_uefi_takes_its_loader(self):
        self.boot_newer('riscv64')
        self.assert_ipxe_ran('efi-riscv64')
        self.assert_loader('tftp')

    def test_loongarch64_uefi_takes_its_loader(self):
        self.boot_newer('loongarch64')
        self.assert_ipxe_ran('efi-loong64')
        self.assert_loader('tftp')
