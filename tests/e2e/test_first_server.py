# SPDX-License-Identifier: Apache-2.0
"""The journey of a first server, on both firmwares and both protocols."""

import json

from tests.e2e import base
from zsbm_ironic.lab import demo

# Interfaces that a standalone node does without, by design.
UNUSED = {'bios', 'console', 'firmware', 'raid', 'rescue'}


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
        done = server.baremetal(
            'node', 'validate', server.machine.name, '-f', 'json'
        )
        rows = json.loads(done.stdout)
        failed = {row['Interface'] for row in rows if not row['Result']}
        # Deploy wants an image first, rescue a password.
        self.assertLessEqual(failed, UNUSED | {'deploy'}, rows)

    def assert_delivered(self, server):
        answer = server.ssh(f'hostname; cat {demo.MARKER}')
        self.assertEqual(
            [server.machine.name, f'marker {server.machine.name}'],
            answer.split('\n')[:2],
        )
