# SPDX-License-Identifier: Apache-2.0
"""Machines that are not like the others still boot.

In-band inspection is what proves a boot: it ends well only when the ramdisk
was loaded, found its network and reported to the API.
"""

import datetime
import pathlib
import time

from tests.e2e import base
from zsbm_ironic.lab import lifecycle

LOADER_S = 420
NEWER_MACHINES = pathlib.Path(__file__).with_name('machines_newer_qemu.toml')
NEWER_STATE = '/var/lib/zsbm-lab-test-newer-qemu'


class BootCase(base.LabTest):
    """What the rows have in common."""

    def assert_reaches_loader(self, name, architecture):
        """Inspect a machine that our amd64 ramdisk cannot run on.

        What is waited for is that its loader ran and asked for its script.
        """
        server = self.manageable(name)
        self.addCleanup(server.baremetal, 'node', 'abort', name, check=False)
        server.baremetal('node', 'inspect', name)
        self.wait_for_script(server, architecture)

    def wait_for_script(self, server, architecture):
        """Wait until the loader was fetched and asked for its script."""
        deadline = time.monotonic() + LOADER_S
        while not self.fetched(server, 'http', 'boot.ipxe'):
            self.assertLess(time.monotonic(), deadline, self.timeline(server))
            time.sleep(5)
        self.assertTrue(
            self.fetched(server, 'tftp', architecture), self.timeline(server)
        )

    def fetched(self, server, source, path):
        """Return what was fetched in this test, by protocol and path."""
        return [
            event
            for event in self.timeline(server)
            if event['Source'] == source
            and path in event['Detail']
            and event['Time (UTC)'] >= self.began
        ]

    def manageable(self, name):
        """Return a machine that is managed, and off at the end."""
        # As the timeline writes it.
        self.began = f'{datetime.datetime.now(datetime.UTC):%F %T}'
        server = self.server(name)
        if server.state() is None:
            server.enrol()
        self.addCleanup(
            server.baremetal, 'node', 'power', 'off', name, check=False
        )
        if server.state() == 'enroll':
            server.manage()
        elif server.state() != 'manageable':
            server.provision('manage')
        # What an earlier row left running would not boot again.
        server.baremetal('node', 'power', 'off', name)
        return server

    def use_boot_interface(self, server, interface):
        server.baremetal(
            'node', 'set', server.machine.name, '--boot-interface', interface
        )


class BootTest(BootCase):
    """One row for each kind of machine and of network."""

    plan = base.SPECIAL

    def test_nic_without_boot_rom(self):
        server = self.manageable('no-boot-rom')
        self.use_boot_interface(server, 'zsbm-pxe')
        server.provision('inspect')
        self.assertTrue(
            self.fetched(server, 'tftp', 'x86-64-uefi'), self.timeline(server)
        )

    def test_uefi_http_boot(self):
        server = self.manageable('no-boot-rom')
        self.use_boot_interface(server, 'zsbm-http')
        server.provision('inspect')
        self.assertTrue(
            self.fetched(server, 'http', 'x86-64-uefi'), self.timeline(server)
        )
        self.assertFalse(self.fetched(server, 'tftp', ''))

    def test_relayed_subnet(self):
        server = self.manageable('behind-relay')
        server.provision('inspect')
        events = self.timeline(server)
        acknowledged = {
            event['Detail'].split()[0]
            for event in events
            if event['Event'] == 'dhcp-ack'
        }
        self.assertTrue(acknowledged, events)
        for address in acknowledged:
            self.assertTrue(address.startswith('203.0.113.'), events)

    def test_arm64_reaches_its_loader(self):
        self.assert_reaches_loader('arm64', 'arm64-uefi')


class NewerQemuTest(BootCase):
    """Machines for which the lab fetches a QEMU and firmware of its own.

    A lab of their own as well: nobody else's waits for that.
    """

    plan = lifecycle.Plan(machines_file=str(NEWER_MACHINES))
    state = NEWER_STATE

    @classmethod
    def setUpClass(cls):
        base.make_room()
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.lab.down(wipe=True)
        super().tearDownClass()

    def test_riscv64_reaches_its_loader(self):
        self.assert_reaches_loader('riscv64', 'riscv64-uefi')

    def test_loongarch64_reaches_its_loader(self):
        self.assert_reaches_loader('loongarch64', 'loongarch64-uefi')
