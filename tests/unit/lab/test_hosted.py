# SPDX-License-Identifier: Apache-2.0
"""Machines alone, for an Ironic that is not of the lab."""

import dataclasses
import os
import pathlib
import sys

import fixtures
import testtools

from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import hosted, layout, lifecycle, machines

IPMI = """
[[machine]]
name = "web-1"
bmc = "ipmi"
disk = [{ bus = "sata", size_gib = 4 }]
nic = [{ model = "e1000e" }]
"""
RELAYED = IPMI.replace('"e1000e" }', '"e1000e", relayed = true }')


class HostedTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.folders = layout.Layout(root / 'lab', root / 'cache')
        self.file = root / 'machines.toml'

    def declared(self, text, network=layout.HOSTED_BMC_NETWORK):
        self.file.write_text(text)
        return machines.load(self.file, self.folders.state, network)

    def test_a_node_has_all_that_enrolment_takes(self):
        (node,) = hosted.nodes(
            self.declared(IPMI),
            self.folders,
            resource_class='metal',
            network_interface='noop',
            physical_network='physnet1',
        )
        self.assertEqual('198.18.5.11', node['driver_info']['bmc_address'])
        self.assertEqual(
            {'bmc_address', 'bmc_username', 'bmc_password'},
            set(node['driver_info']),
        )
        self.assertEqual(
            ('web-1', 'zsbm', 'metal', 'noop', {'cpu_arch': 'x86_64'}),
            tuple(
                node[name]
                for name in (
                    'name',
                    'driver',
                    'resource_class',
                    'network_interface',
                    'properties',
                )
            ),
        )
        (port,) = node['ports']
        self.assertEqual('physnet1', port['physical_network'])

    def test_what_is_not_said_is_left_to_ironic(self):
        (node,) = hosted.nodes(
            self.declared(IPMI), self.folders, resource_class='metal'
        )
        self.assertNotIn('network_interface', node)
        self.assertEqual(['address'], list(node['ports'][0]))

    def test_a_bmc_that_does_not_run_has_no_certificate_to_pin(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            hosted.nodes,
            self.declared(IPMI.replace('ipmi', 'redfish')),
            self.folders,
            resource_class='metal',
        )
        self.assertIn('zsbm-lab up', str(error))

    def test_relayed_nics_are_refused_before_anything_is_made(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            hosted.connect,
            'br-none',
            '',
            self.declared(RELAYED),
            self.folders.state,
        )
        self.assertIn('relayed', str(error))

    def test_a_network_of_this_host_is_no_network_for_bmcs(self):
        # `ip` alone knows what this host has.
        program = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'ip')
        program.write_text(
            f'#!{sys.executable}\n'
            'print(\'[{"ifname": "eth7", "addr_info": [{"local": '
            '"198.18.5.200", "prefixlen": 24}]}]\')\n'
        )
        program.chmod(0o755)
        path = f'{program.parent}:{os.environ["PATH"]}'
        self.useFixture(fixtures.EnvironmentVariable('PATH', path))
        for network, part in (
            ('198.18.5.0/24', 'eth7 has 198.18.5.200/24'),
            ('198.18.5.1/24', 'host bits'),
            ('BMCs', 'BMCs'),
        ):
            error = self.assertRaises(
                lab_exception.LabSettingInvalid, hosted.check_free, network
            )
            self.assertIn(part, str(error))
        hosted.check_free('198.18.6.0/24')

    def test_a_network_that_is_too_small_says_so(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            self.declared,
            IPMI,
            '198.18.5.0/29',
        )
        self.assertIn('no address for BMC', str(error))


class PlanTest(testtools.TestCase):
    def test_a_bridge_has_machines_and_nothing_else(self):
        for more in ({'cloud': True}, {'conductors': 2}, {'stack': 'stock'}):
            error = self.assertRaises(
                lab_exception.LabSettingInvalid,
                lifecycle.Plan,
                bridge='brbm',
                **more,
            )
            self.assertIn('--bridge', str(error))

    def test_an_address_without_a_bridge(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            lifecycle.Plan,
            bridge_address='10.0.5.1/24',
        )
        self.assertIn('needs --bridge', str(error))

    def test_a_lab_of_an_earlier_version_is_still_known(self):
        plan = lifecycle.Plan()
        known = {
            name: value
            for name, value in dataclasses.asdict(plan).items()
            if not name.startswith(('bridge', 'bmc_'))
        }
        self.assertEqual(plan, lifecycle.Plan(**known))
