# SPDX-License-Identifier: Apache-2.0
"""The journey of a first server, on both firmwares and both protocols."""

import json

from tests.e2e import base
from zsbm_ironic.lab import demo

# What validates once a node is managed; the others only after its instance
# was described, or never: those are off by design.
ALWAYS = {'boot', 'inspect', 'management', 'network', 'power', 'storage'}
OFF = {'bios', 'console', 'firmware', 'raid'}
RESCUE_PASSWORD = ('--instance-info', 'rescue_password=not-in-use-1')


class FirstServerTest(base.LabTest):
    """One machine from its BMC address to a login, and back."""

    def test_uefi_redfish_full_cycle(self):
        server = self.server('metal-uefi')
        demo.make_available(server)
        self.assert_validates(server)
        self.deliver(server)
        self.assert_delivered(server)
        server.provision('undeploy')
        self.assertEqual('available', server.state())

    def test_bios_ipmi_deploy(self):
        server = self.server('metal-bios')
        demo.make_available(server)
        self.assert_validates(server)
        self.deliver(server)
        self.assert_delivered(server)

    def deliver(self, server):
        server.describe_instance(self.image())
        server.forget_host_key()
        server.deploy()

    def assert_validates(self, server):
        """Find each interface valid, or telling what it needs."""
        name = server.machine.name
        self.assert_valid(
            server, ALWAYS, deploy='image_source', rescue='rescue_password'
        )
        server.describe_instance(self.image())
        server.baremetal('node', 'set', name, *RESCUE_PASSWORD)
        self.assert_valid(server, ALWAYS | {'deploy', 'rescue'})
        server.baremetal(
            'node', 'unset', name, '--instance-info', 'rescue_password'
        )

    def assert_valid(self, server, wanted, **missing):
        done = server.baremetal(
            'node', 'validate', server.machine.name, '-f', 'json'
        )
        rows = {row['Interface']: row for row in json.loads(done.stdout)}
        valid = {name for name, row in rows.items() if row['Result']}
        self.assertEqual(wanted, valid & (wanted | set(missing)), rows)
        for name, field in missing.items():
            self.assertIn(field, rows[name]['Reason'], rows)
        for name in OFF & set(rows) - valid:
            self.assertIn('does not support', rows[name]['Reason'], rows)

    def assert_delivered(self, server):
        answer = server.ssh(f'hostname; cat {demo.MARKER}')
        self.assertEqual(
            [server.machine.name, f'marker {server.machine.name}'],
            answer.split('\n')[:2],
        )
