# SPDX-License-Identifier: Apache-2.0
import dataclasses
import ipaddress
import pathlib
import time

import fixtures
from oslotest import base

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import desired, reconcile, subnets

MAC = '52:54:00:aa:00:01'
NODE = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0001'
OTHER_NODE = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0009'
PORT = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0002'
VIF = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0003'
SCRIPT = 'http://198.51.100.1:8080/boot.ipxe'
FACTS = reconcile.PortFacts(MAC, NODE, PORT, ('198.51.100.50',))
LATER = 3600.0


class TestReconciler(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.state = desired.DesiredState(
            pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        )
        self.reconciler = reconcile.Reconciler(self.state)

    def look(self, *facts, when=None):
        ports = {one.mac: one for one in facts}
        moment = time.time() + LATER if when is None else when
        return self.reconciler.reconcile(ports, moment)

    def facts(self, **fields):
        return dataclasses.replace(FACTS, **fields)

    def boots(self, **fields):
        self.state.write(
            desired.Record(
                MAC, NODE, PORT, ('198.51.100.50',), script=SCRIPT, **fields
            )
        )

    def test_a_port_gets_a_record_with_its_address_alone(self):
        self.assertEqual([MAC], self.look(self.facts(may_boot=True)))
        found = self.state.read(MAC)
        self.assertEqual(('198.51.100.50',), found.addresses)
        self.assertFalse(found.boots)
        self.assertEqual([], self.look(self.facts(may_boot=True)))

    def test_what_it_boots_stays_while_the_state_has_it_boot(self):
        self.boots()
        self.look(self.facts(may_boot=True))
        self.assertEqual(SCRIPT, self.state.read(MAC).script)

    def test_what_it_boots_goes_after_a_failed_inspection(self):
        self.boots()
        self.look(self.facts(may_boot=False))
        self.assertFalse(self.state.read(MAC).boots)

    def test_what_was_just_written_is_left_alone(self):
        self.boots()
        self.look(self.facts(may_boot=False), when=time.time())
        self.assertTrue(self.state.read(MAC).boots)
        self.look(when=time.time())
        self.look(when=time.time())
        self.assertTrue(self.state.read(MAC).boots)

    def test_a_deleted_port_goes_at_the_second_look(self):
        self.boots()
        self.assertEqual([], self.look())
        self.assertEqual([MAC], self.look())
        self.assertIsNone(self.state.read(MAC))

    def test_a_node_that_comes_back_in_between_is_kept(self):
        self.boots()
        self.look()
        self.look(self.facts(may_boot=True))
        self.look()
        self.assertTrue(self.state.read(MAC).boots)

    def test_a_mac_that_another_node_has_now_boots_nothing_of_the_first(self):
        self.boots()
        self.look(self.facts(node=OTHER_NODE, may_boot=True))
        found = self.state.read(MAC)
        self.assertEqual((OTHER_NODE, False), (found.node, found.boots))

    def test_a_changed_address_is_followed(self):
        self.boots()
        self.look(self.facts(addresses=('198.51.100.51',), may_boot=True))
        found = self.state.read(MAC)
        self.assertEqual(('198.51.100.51',), found.addresses)
        self.assertEqual(SCRIPT, found.script)

    def test_a_vif_record_stays_while_it_is_bound(self):
        self.boots(vif=VIF)
        bound = self.facts(addresses=(), vif=VIF, may_boot=True)
        self.assertEqual([], self.look(bound))
        for facts in (
            self.facts(addresses=(), vif=None, may_boot=True),
            self.facts(addresses=(), vif=PORT, may_boot=True),
        ):
            self.boots(vif=VIF)
            self.look(facts)
            self.assertIsNone(self.state.read(MAC))

    def test_a_bound_port_without_record_gets_none(self):
        bound = self.facts(addresses=(), vif=VIF, may_boot=True)
        self.assertEqual([], self.look(bound))

    def test_a_hostile_client_id_stops_nobody_else(self):
        hostile = self.facts(client_id='ff,set:other')
        other = self.facts(
            mac='52:54:00:aa:00:02', addresses=('198.51.100.52',)
        )
        self.assertEqual([other.mac], self.look(hostile, other))
        self.assertIsNone(self.state.read(MAC))

    def test_a_hostile_client_id_does_not_inherit_another_nodes_boot(self):
        self.boots()
        hostile = self.facts(
            node=OTHER_NODE, client_id='ff,set:other', may_boot=True
        )
        self.assertEqual([MAC], self.look(hostile))
        self.assertIsNone(self.state.read(MAC))

    def test_a_client_id_that_became_hostile_changes_nothing(self):
        self.boots()
        hostile = self.facts(client_id='ff,set:other', may_boot=True)
        self.assertEqual([], self.look(hostile))
        self.assertEqual(SCRIPT, self.state.read(MAC).script)

    def test_a_broken_file_is_replaced(self):
        self.state.path(MAC).write_text('{')
        self.assertEqual([MAC], self.look(self.facts()))
        self.assertIsNotNone(self.state.read(MAC))


class TestChooseAddresses(base.BaseTestCase):
    lines = subnets.parse(
        [
            {
                'cidr': '198.51.100.0/24',
                'range': '198.51.100.10-198.51.100.11',
                'physical_network': 'rack1',
            },
            {
                'cidr': '203.0.113.0/24',
                'range': '203.0.113.10-203.0.113.19',
            },
            {'cidr': '192.0.2.0/24'},
        ]
    )

    def choose(self, physical_network, current=(), taken=()):
        return reconcile.choose_addresses(
            MAC,
            physical_network,
            current,
            self.lines,
            {ipaddress.IPv4Address(one) for one in taken},
        )

    def test_one_of_each_subnet_that_serves_the_port(self):
        self.assertEqual(2, len(self.choose('rack1')))
        only = self.choose(None)
        self.assertEqual(1, len(only))
        self.assertTrue(only[0].startswith('203.0.113.'))

    def test_what_the_port_has_is_kept(self):
        current = ('198.51.100.11', '203.0.113.17')
        self.assertEqual(current, self.choose('rack1', current))

    def test_what_another_server_gave_in_the_same_subnet_is_kept(self):
        current = ('198.51.100.99', '203.0.113.17')
        self.assertEqual(current, self.choose('rack1', current))

    def test_what_is_of_another_subnet_or_taken_is_not(self):
        chosen = self.choose(
            'rack1',
            ('198.18.0.99', '203.0.113.17'),
            ('198.51.100.10', '203.0.113.17'),
        )
        self.assertEqual('198.51.100.11', chosen[0])
        self.assertNotEqual('203.0.113.17', chosen[1])

    def test_a_full_subnet_is_an_error(self):
        self.assertRaises(
            exception.NetbootRangeUsedUp,
            self.choose,
            'rack1',
            (),
            ('198.51.100.10', '198.51.100.11'),
        )
