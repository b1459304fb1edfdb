# SPDX-License-Identifier: Apache-2.0
"""zsbm-vpc and zsbm-flat on upstream's code, against a stand-in of Neutron."""

import types

import fixtures
from ironic import objects
from ironic.common import context, states
from ironic.common import exception as ironic_exception
from ironic.conf import CONF
from oslotest import base

from tests.functional import neutron_server
from tests.unit.network import test_plan, test_readback
from zsbm_ironic import conf
from zsbm_ironic.network import checked, flat, sight, vpc, wiring
from zsbm_ironic.network.finding import Means, State

NODE = '11111111-0000-4000-8000-00000000000a'
VIF = '22222222-0000-4000-8000-000000000001'
Purpose = wiring.Purpose


class Port:
    """A port of a node, as Ironic has it, that nothing saves."""

    def __init__(self, number, physical_network='physnet1', boots=True):
        self.id = number
        self.uuid = f'11111111-0000-4000-8000-00000000000{number}'
        self.node_id = 1
        self.address = f'52:54:00:00:00:0{number}'
        self.pxe_enabled = boots
        self.physical_network = physical_network
        self.portgroup_id = None
        self.is_smartnic = False
        self.extra = {}
        self.internal_info = {}
        self.local_link_connection = {
            'switch_info': 'tor',
            'switch_id': '52:54:00:5a:ff:01',
            'port_id': f'swp{number}',
        }

    def save(self):
        pass


class Node:
    id = 1
    uuid = NODE
    name = 'web-3'
    instance_uuid = None
    deploy_interface = 'zsbm'
    disable_power_off = False

    def __init__(self, interface):
        self.network_interface = interface
        self.provision_state = states.AVAILABLE
        self.driver_info = {}

    def get_interface(self, _kind):
        return self.network_interface


class InterfaceCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.neutron = self.useFixture(
            neutron_server.NeutronServer(
                '198.51.100.0/24',
                [f'198.51.100.{last}' for last in range(50, 60)],
            )
        )
        self.neutron.data['networks'][self.neutron.network].update(
            {
                'provider:network_type': 'vlan',
                'provider:physical_network': 'physnet1',
                'provider:segmentation_id': 100,
                'mtu': 1500,
            }
        )
        self.neutron.subnet['enable_dhcp'] = True
        self.neutron.data['agents'] = {}
        self.configure('neutron', 'auth_type', 'none')
        self.configure('neutron', 'endpoint_override', self.neutron.url)
        for purpose in ('cleaning', 'provisioning', 'inspection'):
            self.configure(
                'neutron', f'{purpose}_network', self.neutron.network
            )
        conf.CONF.set_override('binding_timeout_s', 5, 'zsbm_network')
        self.addCleanup(
            conf.CONF.clear_override, 'binding_timeout_s', 'zsbm_network'
        )
        # There are no ports of other nodes, nor a database.
        self.useFixture(
            fixtures.MonkeyPatch('ironic.objects.Port.list', lambda *_: [])
        )
        self.assertEqual([], objects.Port.list(None))

    def configure(self, group, option, value):
        CONF.set_override(option, value, group)
        self.addCleanup(CONF.clear_override, option, group)

    def task(self, interface, *ports):
        node = Node('zsbm-vpc')
        return types.SimpleNamespace(
            context=context.RequestContext(),
            node=node,
            ports=list(ports or (Port(1),)),
            portgroups=[],
            driver=types.SimpleNamespace(
                network=interface,
                boot=types.SimpleNamespace(capabilities=['pxe_boot']),
            ),
        )

    def vif(self, **changes):
        self.neutron.data['ports'][VIF] = {
            'id': VIF,
            'network_id': self.neutron.network,
            'mac_address': '52:54:00:00:00:99',
            'status': 'DOWN',
            'binding:vif_type': 'unbound',
            'binding:vnic_type': 'baremetal',
            'binding:host_id': '',
            'binding:profile': {},
            'fixed_ips': [],
            **changes,
        }
        return {'id': VIF}


class VpcTest(InterfaceCase):
    def setUp(self):
        super().setUp()
        self.interface = vpc.ZsbmVpcNetwork()

    def test_a_vif_goes_to_the_port_that_its_network_is_at(self):
        self.neutron.data['networks'][self.neutron.network][
            'provider:physical_network'
        ] = 'physnet2'
        boots, other = Port(1), Port(2, 'physnet2', boots=False)
        task = self.task(self.interface, boots, other)
        self.interface.vif_attach(task, self.vif())
        self.assertEqual({'tenant_vif_port_id': VIF}, other.internal_info)
        (expected,) = (
            one
            for one in self.interface.to_enter(
                task, frozenset({Purpose.TENANT})
            )
            if one.to_enter
        )
        self.assertEqual(other.address, expected.nic.address)

    def test_an_attach_that_fails_leaves_nothing(self):
        self.neutron.binding = {
            'binding:vif_type': 'binding_failed',
            'status': 'DOWN',
        }
        for state in (states.ACTIVE, states.AVAILABLE):
            port = Port(1)
            task = self.task(self.interface, port)
            task.node.provision_state = state
            vif = self.vif()
            if state == states.AVAILABLE:
                # It goes while upstream still writes down that it has it.
                port.save = self.neutron.data['ports'].clear
            self.assertRaises(
                ironic_exception.IronicException,
                self.interface.vif_attach,
                task,
                vif,
            )
            self.assertEqual({}, port.internal_info, state)

    def test_an_attach_of_what_is_attached_takes_nothing_away(self):
        port = Port(1)
        task = self.task(self.interface, port)
        self.interface.vif_attach(task, self.vif())
        self.assertRaises(
            ironic_exception.VifAlreadyAttached,
            self.interface.vif_attach,
            task,
            {'id': VIF},
        )
        self.assertEqual({'tenant_vif_port_id': VIF}, port.internal_info)

    def test_ports_of_which_neutron_made_only_some(self):
        self.neutron.binding = neutron_server.BOUND
        task = self.task(self.interface, Port(1), Port(2))
        self.interface.add_cleaning_network(task)
        self.assertEqual(2, len(self.neutron.ports))
        self.interface.remove_cleaning_network(task)
        # Another address is not to be had.
        self.neutron.data['ports'].clear()
        del self.neutron._addresses[1:]
        error = self.assertRaises(
            ironic_exception.InvalidParameterValue,
            self.interface.add_cleaning_network,
            task,
        )
        self.assertIn(task.ports[1].address, str(error))
        self.assertEqual([], self.neutron.ports)

    def test_network_that_nobody_set(self):
        self.configure('neutron', 'provisioning_network', None)
        task = self.task(self.interface)
        found = {
            one.about: one
            for one in self.interface.judged(task, frozenset(Purpose))
            if one.state is State.WRONG
        }
        self.assertEqual(['provisioning_network'], list(found))
        self.assertIn(
            '[neutron]provisioning_network',
            found['provisioning_network'].remedy,
        )

    def bound(self, task):
        purpose = checked.PURPOSES.get(task.node.provision_state)
        return [one.state for one in self.interface.bound(task, purpose)]

    def test_a_running_server_whose_port_is_not_bound(self):
        task = self.task(self.interface)
        self.interface.vif_attach(task, self.vif())
        task.node.provision_state = states.ACTIVE
        self.neutron.data['ports'][VIF].update(
            {'binding:vif_type': 'binding_failed', 'status': 'DOWN'}
        )
        self.assertEqual([State.WRONG], self.bound(task))
        task.node.driver_info['fail_on_binding_failure'] = 'false'
        self.assertEqual([State.UNKNOWN], self.bound(task))
        self.neutron.data['ports'][VIF].update(neutron_server.BOUND)
        self.assertEqual([State.OK], self.bound(task))

    def test_what_a_switch_should_have_of_a_running_server(self):
        task = self.task(self.interface)
        self.interface.vif_attach(task, self.vif())
        (expected,) = self.interface.present(task, Purpose.TENANT)
        self.assertEqual(100, expected.network.vlan_on('physnet1'))
        self.assertEqual(
            [], self.interface.present(task, Purpose.PROVISIONING)
        )


class Uninspected(vpc.ZsbmVpcNetwork):
    """A server that was never inspected."""

    def inspected(self, _task):
        return sight.Told()


class ExamineTest(InterfaceCase):
    def examined(self, state, **port):
        """Return what is wrong of a server whose switch port is so."""
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.network.checked._ask',
                lambda: test_readback.Ask(test_readback.Switch(**port)),
            )
        )
        interface = Uninspected()
        task = self.task(interface)
        interface.vif_attach(task, self.vif())
        self.neutron.data['ports'][VIF].update(neutron_server.BOUND)
        task.node.provision_state = state
        return {
            one.check: one.means
            for one in interface.examine(task)
            if one.state is State.WRONG
        }

    def test_a_running_server_in_another_vlan(self):
        self.assertEqual(
            {'native-vlan': Means.SWITCH},
            self.examined(states.ACTIVE, vlan=101),
        )
        self.assertEqual({}, self.examined(states.ACTIVE))

    def test_a_server_that_is_in_no_network_yet(self):
        self.assertEqual({}, self.examined(states.AVAILABLE, vlan=101))


class FlatTest(InterfaceCase):
    def setUp(self):
        super().setUp()
        self.interface = flat.ZsbmFlatNetwork()

    def entered(self, physical_network):
        """Enter the network of a user by each way that there is."""
        for enter in (
            self.interface.configure_tenant_networks,
            self.interface.add_provisioning_network,
        ):
            port = Port(1, physical_network)
            port.internal_info = {'tenant_vif_port_id': VIF}
            self.vif()
            profiles = []
            self.neutron.binding = neutron_server.BOUND
            try:
                enter(self.task(self.interface, port))
            except ironic_exception.InvalidParameterValue as exc:
                profiles.append(str(exc))
            profiles.append(self.neutron.data['ports'][VIF])
            yield profiles

    def test_neutron_is_told_the_place(self):
        for (vif,) in self.entered('physnet1'):
            (place,) = vif['binding:profile']['local_link_information']
            self.assertEqual('swp1', place['port_id'])

    def test_nothing_is_written_before_all_is_right(self):
        for _error, vif in self.entered('physnet2'):
            self.assertEqual({}, vif['binding:profile'])
            self.assertEqual('52:54:00:00:00:99', vif['mac_address'])


class MatesTest(base.BaseTestCase):
    def test_the_other_ports_of_a_bond(self):
        ports = [Port(number) for number in (1, 2, 3, 4)]
        for port, group in zip(ports, (7, 7, 8, None), strict=True):
            port.portgroup_id = group
        task = types.SimpleNamespace(node=Node('zsbm-vpc'), ports=ports)
        expected = [
            checked.readback.Expected(nic) for nic in checked.nics_of(task)
        ]
        found = checked._with_mates(task, expected)
        self.assertEqual(
            [['swp2'], ['swp1'], [], []],
            [[nic.port_id for nic in one.mates] for one in found],
        )


class OthersTest(base.BaseTestCase):
    def test_ports_of_other_nodes_at_the_same_place(self):
        def other(number, link):
            port = Port(number)
            port.node_id = number
            port.local_link_connection = link
            return port

        place = {'switch_id': test_plan.NIC.switch_id, 'port_id': 'swp1'}
        ports = [
            Port(1),
            other(2, {**place, 'switch_info': 'leaf-1'}),
            other(3, {**place, 'port_id': 'swp2'}),
            other(4, {'switch_info': 'tor', 'port_id': 'swp1'}),
            other(5, {}),
        ]
        for name, answer in (
            ('Port.list', lambda *_: ports),
            (
                'Node.get_by_id',
                lambda _class, _context, number: types.SimpleNamespace(
                    name=f'web-{number}', uuid=None
                ),
            ),
        ):
            self.useFixture(
                fixtures.MonkeyPatch(f'ironic.objects.{name}', answer)
            )
        task = types.SimpleNamespace(context=None, node=Node('zsbm-vpc'))
        found = checked.others_there(task, [test_plan.NIC])
        self.assertEqual(['web-2', 'web-4'], [one.node for one in found])
        self.assertEqual(test_plan.NIC.switch_id, found[0].switch_id)
