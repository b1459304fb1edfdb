# SPDX-License-Identifier: Apache-2.0
"""Machines that are not like the others still boot.

In-band inspection is what proves a boot: it ends well only when the ramdisk
was loaded, found its network and reported to the API.
"""

import time

from tests.e2e import base

LOADER_S = 420


class BootTest(base.LabTest):
    """One row for each kind of machine and of network."""

    def test_nic_without_boot_rom(self):
        server = self.inspect('no-boot-rom')
        events = self.timeline(server)
        self.assertIn('tftp', {event['Source'] for event in events}, events)

    def test_relayed_subnet(self):
        server = self.inspect('behind-relay')
        addresses = [event['Detail'] for event in self.timeline(server)]
        self.assertTrue(
            [text for text in addresses if '203.0.113.' in text], addresses
        )

    def test_uefi_http_boot(self):
        server = self.server('no-boot-rom')
        self.enrol_and_manage(server)
        server.baremetal(
            *('node', 'set', server.machine.name),
            *('--boot-interface', 'zsbm-http'),
        )
        self.addCleanup(
            server.baremetal,
            *('node', 'unset', server.machine.name, '--boot-interface'),
        )
        server.provision('inspect')

    def test_arm64_reaches_its_loader(self):
        server = self.server('arm64')
        self.enrol_and_manage(server)
        server.baremetal('node', 'inspect', server.machine.name, check=False)
        self.addCleanup(self.give_up, server)
        deadline = time.monotonic() + LOADER_S
        while not self.loaded(server, 'arm64-uefi'):
            self.assertLess(time.monotonic(), deadline, 'no loader')
            time.sleep(5)

    def loaded(self, server, architecture):
        """Say whether the machine's firmware fetched this loader."""
        return [
            event
            for event in self.timeline(server)
            if event['Source'] in ('tftp', 'http')
            and architecture in event['Detail']
        ]

    def inspect(self, name):
        server = self.server(name)
        self.enrol_and_manage(server)
        server.provision('inspect')
        return server

    def enrol_and_manage(self, server):
        if server.state() is None:
            server.enrol()
        if server.state() == 'enroll':
            server.manage()
        elif server.state() != 'manageable':
            server.provision('manage')

    def give_up(self, server):
        server.baremetal('node', 'abort', server.machine.name, check=False)
        server.baremetal(
            'node', 'power', 'off', server.machine.name, check=False
        )
