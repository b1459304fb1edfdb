# SPDX-License-Identifier: Apache-2.0
"""Whose address a machine gets, and who answers it, where Neutron is.

Neutron is a stand-in (see neutron_server); Ironic, its flat network
interface and openstacksdk are real.
"""

from tests.functional import (
    dhcp_client,
    netboot_bench,
    neutron_server,
    test_netboot_ironic,
)

MAC = test_netboot_ironic.MAC


class TestNeutron(test_netboot_ironic.TestCase):
    subnets = ('cidr:198.51.100.0/24',)

    @classmethod
    def more_options(cls):
        addresses = [f'198.51.100.{last}' for last in range(200, 220)]
        cls.neutron = neutron_server.NeutronServer(
            '198.51.100.0/24', addresses
        )
        cls.neutron.setUp()
        cls.addClassCleanup(cls.neutron.cleanUp)
        return {
            'DEFAULT': {
                'enabled_network_interfaces': 'flat,noop',
                'default_network_interface': 'flat',
            },
            'neutron': {
                'auth_type': 'none',
                'endpoint_override': cls.neutron.url,
                'cleaning_network': cls.neutron.network,
                'provisioning_network': cls.neutron.network,
                'inspection_network': cls.neutron.network,
            },
        }

    def test_the_fixed_address_of_the_bound_port_is_served(self):
        node = self.node()
        self.assertIsNone(self.answer())
        self.inspect(node)
        (vif,) = self.neutron.ports
        (fixed,) = vif['fixed_ips']
        answer = self.becomes(
            lambda: self.answer(options=dhcp_client.firmware(7))
        )
        self.assertEqual(fixed['ip_address'], answer.offered)
        self.assertEqual(
            'zsbm-loaders/x86-64-uefi.efi', dhcp_client.bootfile(answer)
        )
        self.assertEqual(vif['id'], self.bench.desired.read(MAC).vif)
        self.abort(node)
        self.assertEqual([], self.neutron.ports)
        self.becomes(lambda: self.answer() is None, 30)
        self.assertEqual([], list(self.bench.desired.macs()))

    def test_where_neutron_answers_we_do_not_and_it_has_the_options(self):
        self.neutron.subnet['enable_dhcp'] = True
        self.addCleanup(self.neutron.subnet.update, enable_dhcp=False)
        node = self.node()
        self.inspect(node)
        (vif,) = self.neutron.ports
        told = {
            option['opt_name']: option['opt_value']
            for option in vif['extra_dhcp_opts']
        }
        self.assertEqual(
            'http://198.51.100.1:8080/boot.ipxe', told['tag:ipxe,67']
        )
        netboot_bench.wait_for(self.bench.serving)
        self.assertEqual('neutron', self.bench.desired.read(MAC).served_by)
        self.assertIsNone(self.answer())
        self.abort(node)
