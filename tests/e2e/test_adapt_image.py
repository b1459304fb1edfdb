# SPDX-License-Identifier: Apache-2.0
"""VM images as they are, deployed by ironic on servers of the other kind.

Each has a config drive, boots from the disk of its server, and tells on the
console that its network is up under the name that its own settings have.
"""

import dataclasses
import pathlib
import shutil
import time

import fixtures

from tests.e2e import base
from zsbm_ironic.common import artifacts, process
from zsbm_ironic.image import (
    editing,
    source,
    system,
    tree,
    verdicts,
    volumes,
)
from zsbm_ironic.lab import demo
from zsbm_ironic.lab.vm_images import build, configure, specimens

BOOT_S = 420
# What an image has that was captured from a server, by path.
CAPTURED = {
    'etc/machine-id': f'{"0" * 31}7\n',
    'etc/hostname': 'captured\n',
    'etc/ssh/ssh_host_ed25519_key': 'private\n',
    'etc/ssh/ssh_host_ed25519_key.pub': 'public\n',
    'var/lib/systemd/random-seed': 'seed',
}


class AdaptImageTest(base.LabTest):
    def specimen(self, name):
        """Return an image of the table."""
        cache = artifacts.Artifacts(self.lab.folders.cache)
        return build.build(cache, specimens.by_name(name))

    def delivered(self, name, machine, image=None):
        """Deploy an image of the table and wait until it is up."""
        image = image or self.specimen(name)
        server = self.server(machine)
        demo.make_available(server)
        log = server.folder / 'serial.log'
        before = log.stat().st_size if log.exists() else 0
        server.describe_instance(image)
        server.deploy()
        self.addCleanup(server.provision, 'undeploy')
        interface = image.specimen.interface
        wanted = f'{configure.READY_MARKER} {name} {interface}=198.51.100.'
        deadline = time.monotonic() + BOOT_S
        while True:
            with log.open('rb') as console:
                console.seek(before)
                text = console.read().decode(errors='replace')
            if wanted in text:
                break
            self.assertLess(time.monotonic(), deadline, text[-800:])
            time.sleep(1)
        report = self.node(server)['driver_internal_info']['zsbm_adapted']
        self.assertEqual('debian 12', report['system'])
        return report

    def test_bios_image_on_uefi_and_nvme(self):
        report = self.delivered('debian12-mbr', 'metal-uefi')
        keys = {one['key'] for one in report['changes']}
        self.assertLessEqual({'gpt', 'esp', 'nic-name', 'root'}, keys)

    def test_uefi_image_on_bios_and_sata(self):
        report = self.delivered('debian12-uefi-only', 'metal-bios')
        keys = {one['key'] for one in report['changes']}
        self.assertLessEqual({'bios-loader', 'early-drivers'}, keys)

    def test_btrfs_on_uefi_and_nvme(self):
        self.delivered('debian12-btrfs', 'metal-uefi')

    def test_logical_volume_on_bios_and_sata(self):
        self.delivered('debian12-lvm', 'metal-bios')

    def test_config_drive_beside_four_partitions(self):
        report = self.delivered('debian12-four-primaries', 'metal-bios')
        keys = {one['key'] for one in report['changes']}
        self.assertIn('gpt', keys)

    def test_two_servers_of_one_image(self):
        """Of one that ran before: nothing of it is on both, nor left."""
        image = self.captured()
        found = []
        for machine in ('metal-uefi', 'metal-bios'):
            report = self.delivered('debian12-mbr', machine, image)
            self.assertIn(
                'identity', {one['key'] for one in report['changes']}
            )
            found.append(self.identity(self.server(machine)))
            self.assertEqual(f'{machine}\n', found[-1].pop('etc/hostname'))
        for path, old in CAPTURED.items():
            values = [one.get(path) for one in found] + [old]
            if path != 'etc/hostname':
                self.assertEqual(3, len(set(values)), path)

    def captured(self):
        """Return an image with what an OS writes while it runs."""
        image = self.specimen('debian12-mbr')
        folder = image.path.parent / 'captured'
        folder.mkdir(exist_ok=True)
        self.addCleanup(shutil.rmtree, folder)
        raw, path = folder / 'disk.raw', folder / 'captured.qcow2'
        source.copy(source.inspect(image.path), raw)
        found = system.find(volumes.read(raw))
        change = editing.Editing(found)
        for name, text in CAPTURED.items():
            change.write_text(f'/{name}', text)
        process.run(
            ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, path],
            timeout_s=300,
        )
        raw.unlink()
        return dataclasses.replace(
            image, path=path, sha256=verdicts.sha256(path)
        )

    def identity(self, server):
        """Return what is on the disk of a server, which is off then."""
        server.baremetal('node', 'power', 'off', server.machine.name)
        self.wait_power(server, 'power off')
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        raw = folder / 'disk.raw'
        source.copy(source.inspect(server.folder / 'disk0.qcow2'), raw)
        found = system.find(volumes.read(raw))
        return {name: tree.text(found.files, f'/{name}') for name in CAPTURED}
