# SPDX-License-Identifier: Apache-2.0
"""VM images as they are, deployed by ironic on servers of the other kind.

Each has a config drive, boots from the disk of its server, and tells on the
console that its network is up under the name that its own settings have.
"""

import dataclasses
import json
import pathlib
import shutil
import time

import fixtures

from tests.e2e import base, figures
from zsbm_ironic.common import process
from zsbm_ironic.image import (
    editing,
    source,
    system,
    tree,
    verdicts,
    volumes,
)
from zsbm_ironic.lab import bench, demo
from zsbm_ironic.lab.vm_images import configure

BOOT_S = 420
# What an image has that was captured from a server, by path.
CAPTURED = {
    'etc/machine-id': f'{"0" * 31}7\n',
    'etc/hostname': 'captured\n',
    'etc/ssh/ssh_host_ed25519_key': 'private\n',
    'etc/ssh/ssh_host_ed25519_key.pub': 'public\n',
    'var/lib/systemd/random-seed': 'seed',
}


class AdaptCase(base.LabTest):
    plan = base.PACKED

    def setUp(self):
        super().setUp()
        self.figures = self.useFixture(figures.Figures())

    def available(self, machine, image):
        """Return a server that waits for an image."""
        server = self.server(machine)
        demo.make_available(server)
        server.describe_instance(image)
        return server

    def delivered(self, name, machine, image=None):
        """Deploy an image of the table and wait until it is up."""
        image = image or self.vm_image(name)
        server = self.available(machine, image)
        self.comes_up(server, image, server.deploy)
        return self.report(server, name)

    def comes_up(self, server, image, deliver):
        """Do it, and wait for what the image's system says when it is up.

        It has the name of the server then.
        """
        log = server.folder / 'serial.log'
        before = log.stat().st_size if log.exists() else 0
        deliver()
        wanted = (
            f'{configure.READY_MARKER} {server.machine.name} '
            f'{image.specimen.interface}=198.51.100.'
        )
        deadline = time.monotonic() + BOOT_S
        while True:
            with log.open('rb') as console:
                console.seek(before)
                text = console.read().decode(errors='replace')
            if wanted in text:
                return
            self.assertLess(time.monotonic(), deadline, text[-800:])
            time.sleep(1)

    def report(self, server, name):
        """Return what the ramdisk changed, and keep how long it took."""
        report = self.node(server)['driver_internal_info']['zsbm_adapted']
        self.assertEqual('debian 12', report['system'])
        self.figures['image'] = name
        self.keep_figures(server, report['seconds'])
        return report

    def keep_figures(self, server, adapt_s):
        """Leave what the steps took to the matrix."""
        self.figures.steps(server.machine.name, self.timeline(server))
        self.figures[f'{server.machine.name} adapt in the ramdisk'] = adapt_s
        self.figures.found.setdefault('servers', []).append(
            server.machine.name
        )


class AdaptImageTest(AdaptCase):
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

    def test_rebuild(self):
        """The image is adapted once more: nothing of it is left."""
        image = self.vm_image('debian12-mbr')
        report = self.delivered('debian12-mbr', 'metal-uefi')
        server = self.server('metal-uefi')
        drive = json.dumps(server.config_drive())
        self.comes_up(
            server,
            image,
            lambda: server.provision('rebuild', '--config-drive', drive),
        )
        again = self.report(server, 'debian12-mbr')
        self.assertEqual(report['changes'], again['changes'])

    def test_config_drive_beside_four_partitions(self):
        report = self.delivered('debian12-four-primaries', 'metal-bios')
        keys = {one['key'] for one in report['changes']}
        self.assertIn('gpt', keys)

    def kits(self):
        """Return the folder of kernels that the conductor serves."""
        conductor = self.lab.conductor(1, self.lab.built())
        return conductor.http_root / 'zsbm-kits'

    def test_kernel_for_vms_on_uefi_and_nvme(self):
        """The kernel for hardware is fetched from its conductor."""
        served = self.kits()
        process.run(
            ['zsbm-image', 'kit', 'build', 'debian-12']
            + ['--cache', str(self.lab.folders.cache), '--serve', str(served)],
            timeout_s=900,
        )
        report = self.delivered('debian12-cloud', 'metal-uefi')
        keys = {one['key'] for one in report['changes']}
        self.assertLessEqual({'kernel', 'kernel-package'}, keys)

    def test_kernel_for_vms_and_none_for_hardware(self):
        """The deploy ends with what is to be done."""
        shutil.rmtree(self.kits(), ignore_errors=True)
        server = self.available('metal-uefi', self.vm_image('debian12-cloud'))
        server.baremetal(
            'node', 'deploy', server.machine.name, '--wait', check=False
        )
        self.assertEqual('deploy failed', server.state())
        self.assertIn(
            'zsbm-image kit build debian-12', server.field('last_error')
        )

    def test_power_cut_while_an_image_is_adapted(self):
        """What is half done is written over by the next deploy."""
        server = self.available('metal-uefi', self.vm_image('debian12-mbr'))
        name = server.machine.name
        server.baremetal('node', 'deploy', name)
        deadline = time.monotonic() + BOOT_S
        while self.step(name) != 'adapt_image':
            self.assertLess(time.monotonic(), deadline, 'no adapt_image')
            time.sleep(0.1)
        bench.client(server.machine, self.lab.folders).power('off')
        self.assertEqual('adapt_image', self.step(name), 'the cut came late')
        # The conductor may be asking the agent, which answers no more.
        self.wait_for(
            lambda: self.node(server)['reservation'] is None,
            'the node is locked',
            BOOT_S,
        )
        server.provision('undeploy')
        self.delivered('debian12-mbr', name)

    def step(self, name):
        """Return the deploy step that a node is at."""
        node = self.api('GET', f'nodes/{name}')[1]
        return node['deploy_step'].get('step')

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
        image = self.vm_image('debian12-mbr')
        folder = self.lab.folders.built / 'captured'
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


class LargeDiskTest(AdaptCase):
    plan = dataclasses.replace(base.SPECIAL, raw_images=False)

    def test_mbr_on_a_disk_over_2_tb(self):
        """Beside a config drive: its table becomes a GPT of the whole disk."""
        report = self.delivered('debian12-mbr', 'large-disk')
        keys = {one['key'] for one in report['changes']}
        self.assertLessEqual({'gpt', 'esp'}, keys)
        listed = process.run(
            ['qemu-img', 'info', '-U', '--output=json']
            + [str(self.server('large-disk').folder / 'disk0.qcow2')],
            timeout_s=60,
        )
        self.assertGreater(json.loads(listed.stdout)['virtual-size'], 2e12)
