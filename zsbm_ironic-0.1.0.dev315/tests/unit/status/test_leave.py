# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status leave`: everything that is still ours, in order."""

from tests.unit.status import base
from zsbm_ironic.status import leave

OURS = """
[DEFAULT]
enabled_hardware_types = redfish,zsbm
enabled_boot_interfaces = zsbm-pxe
default_deploy_interface = zsbm
[dhcp]
dhcp_provider = zsbm
"""
STOCK = '[dhcp]\ndhcp_provider = neutron\n'


class LeaveTest(base.StatusTestCase):
    def _one(self, **fields: object) -> leave.Node:
        report = leave.report(self.conf(STOCK), [base.node(**fields)])
        return report.nodes[0]

    def test_stock_ironic_has_nothing_of_ours(self) -> None:
        nodes = [base.node(driver='ipmi', boot_interface='ipxe')]
        report = leave.report(self.conf(STOCK), nodes)
        self.assertTrue(report.finished)
        self.assertIn('uninstall', leave.as_text(report))

    def test_node_moves_to_the_type_of_its_protocol(self) -> None:
        for key, driver in (
            ('redfish_address', 'redfish'),
            ('ipmi_address', 'ipmi'),
        ):
            node = self._one(driver_info={key: '192.0.2.11'})
            self.assertEqual(
                (
                    f'openstack baremetal node set web-3 --driver {driver} '
                    '--reset-interfaces',
                ),
                node.commands,
            )

    def test_active_node_moves_in_maintenance_and_keeps_its_instance(
        self,
    ) -> None:
        info = {'redfish_address': 'https://192.0.2.11'}
        node = self._one(provision_state='active', driver_info=info)
        self.assertIn('maintenance set', node.commands[0])
        self.assertIn('--driver redfish', node.commands[1])
        self.assertIn('maintenance unset', node.commands[2])
        self.assertIn('runs on', node.note)
        self.assertNotIn('undeploy', ' '.join(node.commands))

    def test_node_that_is_busy_has_to_settle_first(self) -> None:
        node = self._one(provision_state='wait call-back')
        self.assertEqual((), node.commands)
        self.assertIn('first', node.note)

    def test_node_without_keys_of_upstream_is_managed_first(self) -> None:
        node = self._one(driver_info={'bmc_address': '192.0.2.11'})
        self.assertEqual((), node.commands)
        self.assertIn('node manage web-3', node.note)

    def test_stock_node_on_an_interface_of_ours(self) -> None:
        node = self._one(driver='ipmi', boot_interface='zsbm-pxe')
        self.assertEqual(('boot_interface=zsbm-pxe',), node.fields)
        self.assertEqual(
            ('openstack baremetal node unset web-3 --boot-interface',),
            node.commands,
        )

    def test_options_are_listed_with_their_value_without_us(self) -> None:
        report = leave.report(self.conf(OURS), [])
        afterwards = {
            option.name: option.afterwards for option in report.options
        }
        self.assertEqual(
            {
                '[DEFAULT]enabled_hardware_types': 'redfish',
                '[DEFAULT]enabled_boot_interfaces': '(take the line out)',
                '[DEFAULT]default_deploy_interface': '(take the line out)',
                '[dhcp]dhcp_provider': 'neutron, dnsmasq or none',
            },
            afterwards,
        )

    def test_nodes_come_before_options_before_uninstalling(self) -> None:
        text = leave.as_text(leave.report(self.conf(OURS), [base.node()]))
        places = [
            text.index(word)
            for word in ('web-3', 'enabled_hardware_types', 'Uninstall')
        ]
        self.assertEqual(sorted(places), places)

    def test_without_a_cloud_it_says_what_to_set(self) -> None:
        status, _out, err = self.run_status(
            'leave', '--config-file', self.file('')
        )
        self.assertEqual(2, status)
        self.assertIn('OS_CLOUD', err)
