# SPDX-License-Identifier: Apache-2.0
"""VM images as they are, deployed by ironic on servers of the other kind.

Each has a config drive, boots from the disk of its server, and tells on the
console that its network is up under the name that its own settings have.
"""

import time

from tests.e2e import base
from zsbm_ironic.common import artifacts
from zsbm_ironic.lab import demo
from zsbm_ironic.lab.vm_images import build, configure, specimens

BOOT_S = 420


class AdaptImageTest(base.LabTest):
    def delivered(self, name, machine):
        """Deploy an image of the table and wait until it is up."""
        cache = artifacts.Artifacts(self.lab.folders.cache)
        image = build.build(cache, specimens.by_name(name))
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
