# SPDX-License-Identifier: Apache-2.0
"""Clients that know Ironic and not us, on a machine of the lab."""

import pathlib

import fixtures
import openstack

from tests import life_cycle
from tests.ansible import play
from tests.e2e import base
from zsbm_ironic.lab import bench, layout, network

STATE_S = 1500
URL = f'http://{layout.CONDUCTOR_ADDRESSES[0]}:{layout.API_PORT}'
# After these an OS is up.
LOGS_IN = ('active', 'rebuild', 'unrescue')


class ClientsTest(base.LabTest):
    def take(self, name):
        """Have a machine that Ironic does not know."""
        self.machine = self.server(name)
        self.forget(self.machine)
        self.addCleanup(self.forget, self.machine)

    def fields(self):
        """Return what its node has, as a person writes it down."""
        machine = self.machine.machine
        node = self.machine.enrolment()
        node.pop('ports', None)
        if machine.protocol == 'redfish':
            node['driver_info']['bmc_cert_fingerprint'] = bench.fingerprint(
                machine, self.lab.folders
            )
        node['properties'] = {
            'capabilities': f'boot_mode:{machine.firmware.value}'
        }
        return node, machine.nics[0].mac

    def instance_info(self):
        image = self.image()
        return {
            'image_source': f'file://{image.path}',
            'image_checksum': image.sha256,
            'image_type': 'whole-disk',
        }

    def looked_at(self, verb, _node):
        if verb in LOGS_IN:
            self.machine.forget_host_key()
            self.assertEqual(
                self.machine.machine.name, self.machine.ssh('hostname').strip()
            )

    def test_openstacksdk(self):
        """From enrolment to deletion, with a login after each delivery."""
        self.take('metal-uefi')
        node, mac = self.fields()
        info = self.instance_info()

        def walk():
            baremetal = openstack.connect(
                auth_type='none',
                endpoint_override=URL,
                baremetal_endpoint_override=URL,
                load_envvars=False,
                load_yaml_config=False,
            ).baremetal
            life = life_cycle.Life(baremetal, STATE_S, self.looked_at)
            made = life.begin(node, [mac])
            life.change(made, 'inspect', 'manageable')
            life.live(made, info, self.machine.config_drive())
            life.end(made)

        network.call(walk)
        self.assertIsNone(self.machine.state())

    def test_ansible(self):
        """The playbook of the documentation, from start to end."""
        self.take('metal-bios')
        node, mac = self.fields()
        status, said = play.life_cycle(
            pathlib.Path(self.useFixture(fixtures.TempDir()).path),
            URL,
            {
                'node': node,
                'nics': [mac],
                'mac': mac,
                'image': self.instance_info(),
                'limit_s': STATE_S,
            },
            within=network.nsenter(),
        )
        self.assertEqual(0, status, said)
        self.assertIsNone(self.machine.state())
