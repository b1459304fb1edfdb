# SPDX-License-Identifier: Apache-2.0
"""Settings held against each other: each that is wrong is told."""

import dataclasses

from oslotest import base

from zsbm_ironic.network import finding, plan, wiring
from zsbm_ironic.network.finding import State
from zsbm_ironic.network.wiring import Purpose

NIC = wiring.Nic(
    '52:54:00:00:00:01',
    '11111111-0000-4000-8000-000000000001',
    'web-3',
    switch='tor',
    switch_id='52:54:00:5a:ff:01',
    port_id='swp1',
    physical_network='physnet1',
)
PROVISIONING = wiring.Network(
    'a1',
    'provisioning',
    (wiring.Segment('vlan', 'physnet1', 100),),
    mtu=1500,
    subnets=1,
)
TENANT = wiring.Network(
    'b1',
    'vpc-a',
    (wiring.Segment('vlan', 'physnet1', 200),),
    mtu=1500,
    leases=True,
    subnets=1,
)
OVERLAY = wiring.Network(
    'c1', 'vpc-o', (wiring.Segment('geneve', '', 7),), 1442, True, 1
)
AGENT = wiring.Agent(wiring.NODE_AGENT, 'uuid', alive=True)


def chassis(host, *mappings):
    return wiring.Agent(
        'OVN Controller agent', host, True, frozenset(mappings)
    )


def situation(**changes):
    found = plan.Situation(
        'web-3',
        (NIC,),
        (
            plan.Entry(Purpose.PROVISIONING, 'provisioning', PROVISIONING),
            plan.Entry(Purpose.TENANT, 'vif', TENANT),
        ),
        agents=(AGENT,),
    )
    return dataclasses.replace(found, **changes)


def entry(network, purpose=Purpose.TENANT):
    return (plan.Entry(purpose, 'asked', network),)


class PlanTest(base.BaseTestCase):
    def told(self, state=State.WRONG, **changes):
        """Return the findings of a state, by the name of their check."""
        return {
            one.check: one
            for one in plan.judge(situation(**changes))
            if one.state is state
        }

    def only(self, check, state=State.WRONG, **changes):
        found = self.told(state, **changes)
        self.assertEqual([check], list(found))
        self.assertNotEqual('', found[check].remedy)
        return found[check]

    def nic(self, **changes):
        return {'nics': (dataclasses.replace(NIC, **changes),)}

    def test_right_settings_are_all_ok(self):
        found = plan.judge(situation())
        self.assertEqual({State.OK}, {one.state for one in found})
        self.assertIn(
            'provisioning, vlan 100 on physnet1',
            [one.detail for one in found],
        )

    def test_no_port_at_all(self):
        self.assertIn('has no port', self.only('boot-port', nics=()).detail)

    def test_ports_that_come(self):
        (found,) = plan.judge_ports(situation(nics=(), ports_come=True))
        self.assertEqual(('boot-port', State.OK), (found.check, found.state))

    def test_no_port_that_boots(self):
        self.only('boot-port', **self.nic(boots=False))

    def test_port_that_says_no_switch(self):
        found = self.only('link-information', **self.nic(switch=''))
        self.assertIn('no switch_info', found.detail)
        self.assertIn(NIC.uuid, found.remedy)

    def test_on_a_flat_network_that_is_for_a_person_to_judge(self):
        self.only(
            'link-information',
            State.UNKNOWN,
            needs_link=False,
            **self.nic(port_id=''),
        )

    def test_port_of_another_node(self):
        other = dataclasses.replace(
            NIC, address='52:54:00:00:00:02', uuid='other', node='web-4'
        )
        found = self.only('port-of-another-node', others=(other,))
        self.assertIn('web-4', found.detail)

    def test_one_switch_by_two_names(self):
        other = dataclasses.replace(
            NIC,
            uuid='other',
            node='web-4',
            switch='leaf-1',
            switch_id=NIC.switch_id.upper(),
        )
        self.only('port-of-another-node', others=(other,))

    def test_two_switches_of_one_name(self):
        other = dataclasses.replace(
            NIC, uuid='other', switch_id='52:54:00:5a:ff:02'
        )
        self.assertEqual({}, self.told(others=(other,)))
        by_name = dataclasses.replace(other, switch_id='')
        self.only('port-of-another-node', others=(by_name,))

    def test_two_ports_of_a_node_at_one_place(self):
        second = dataclasses.replace(NIC, address='other', uuid='other')
        found = self.told(nics=(NIC, second))
        self.assertEqual(['port-of-another-node'], list(found))

    def test_agent_that_is_silent(self):
        dead = dataclasses.replace(AGENT, alive=False)
        self.only('node-agent', agents=(dead,))

    def test_no_agent_is_no_error_where_a_switch_driver_binds(self):
        self.only('node-agent', State.UNKNOWN, agents=())

    def test_an_overlay_needs_no_agent(self):
        self.assertEqual(
            {},
            self.told(State.UNKNOWN, agents=(), entries=entry(OVERLAY)),
        )

    def test_network_that_is_not_there(self):
        self.assertIn('asked', self.only('network', entries=entry(None)).about)

    def test_network_without_a_segment(self):
        bare = dataclasses.replace(TENANT, segments=())
        found = self.only('segment', entries=entry(bare))
        self.assertIn('never bound', found.detail)

    def test_port_on_another_physical_network(self):
        nic = self.nic(physical_network='physnet2')
        found = self.only('physical-network', entries=entry(TENANT), **nic)
        self.assertIn('physnet2', found.detail)
        self.assertIn('physnet1', found.remedy)

    def test_port_that_says_no_physical_network_goes_anywhere(self):
        nic = self.nic(physical_network='')
        self.assertEqual({}, self.told(State.UNKNOWN, **nic))

    def test_but_not_into_an_overlay(self):
        self.only(
            'physical-network',
            State.UNKNOWN,
            entries=entry(OVERLAY),
            **self.nic(physical_network=''),
        )

    OUTSIDE = dataclasses.replace(
        TENANT, segments=(wiring.Segment('vlan', 'physnet2', 300),)
    )
    SPARE = dataclasses.replace(
        NIC,
        address='52:54:00:00:00:02',
        uuid='spare',
        port_id='swp2',
        physical_network='physnet2',
        boots=False,
    )

    def test_network_of_a_user_may_be_at_a_port_that_does_not_boot(self):
        nics = (NIC, self.SPARE)
        self.assertEqual({}, self.told(nics=nics, entries=entry(self.OUTSIDE)))
        found = self.told(
            nics=nics, entries=entry(self.OUTSIDE, Purpose.CLEANING)
        )
        self.assertIn('physical-network', found)

    def test_the_port_that_a_network_was_given_to_counts(self):
        def given(nic):
            return {
                'nics': (NIC, self.SPARE),
                'entries': (
                    plan.Entry(
                        Purpose.TENANT,
                        'vif',
                        self.OUTSIDE,
                        frozenset({nic.address}),
                    ),
                ),
            }

        self.assertEqual({}, self.told(**given(self.SPARE)))
        found = self.only('physical-network', **given(NIC))
        self.assertEqual(NIC.address, found.about)

    def test_ports_that_upstream_would_choose_among(self):
        bare = dataclasses.replace(self.SPARE, physical_network='')
        (outside,) = entry(self.OUTSIDE)
        for nics, found in (
            ((NIC, self.SPARE, bare), [self.SPARE]),
            ((NIC, bare), [bare]),
            ((NIC,), []),
        ):
            self.assertEqual(found, outside.ports(nics))
        (anywhere,) = entry(OVERLAY)
        self.assertEqual([NIC], anywhere.ports((self.SPARE, NIC)))

    def test_vlan_that_is_none(self):
        wide = dataclasses.replace(
            TENANT, segments=(wiring.Segment('vlan', 'physnet1', 4095),)
        )
        self.only('vlan-range', entries=entry(wide))

    def test_vlan_outside_the_ranges_of_neutron(self):
        ranges = (wiring.VlanRange('physnet1', 100, 150),)
        found = self.only('vlan-range', State.UNKNOWN, ranges=ranges)
        self.assertIn('100 to 150', found.detail)

    def test_chassis_that_would_be_cut_off(self):
        found = self.only(
            'chassis-mapping',
            entries=entry(OVERLAY),
            agents=(chassis('gw', 'physnet1'), chassis('vm-1', 'other')),
            chassis_of={OVERLAY.id: frozenset({'vm-1'})},
        )
        self.assertEqual('vm-1', found.about)
        self.assertIn('physnet1:BRIDGE', found.remedy)

    def test_chassis_without_a_port_of_the_overlay(self):
        self.only(
            'chassis-mapping',
            State.UNKNOWN,
            entries=entry(OVERLAY),
            agents=(chassis('vm-1'),),
        )

    def test_chassis_need_no_bridge_to_where_the_overlay_is_not(self):
        changes = {
            'nics': (NIC, self.SPARE),
            'entries': entry(OVERLAY),
            'agents': (chassis('vm-1', 'physnet1'),),
            'chassis_of': {OVERLAY.id: frozenset({'vm-1'})},
        }
        self.assertEqual({}, self.told(**changes))
        self.assertIn('chassis-mapping', self.told(State.OK, **changes))

    def test_chassis_of_an_overlay_that_is_led_nobody_knows_where(self):
        changes = {
            'entries': entry(OVERLAY),
            'agents': (chassis('vm-1', 'physnet1'),),
            **self.nic(physical_network=''),
        }
        self.assertNotIn('chassis-mapping', self.told(State.OK, **changes))
        found = self.told(State.UNKNOWN, **changes)['chassis-mapping']
        self.assertEqual(OVERLAY.name, found.about)

    def test_two_dhcp_servers(self):
        both = dataclasses.replace(PROVISIONING, leases=True)
        self.only('dhcp-owner', entries=entry(both, Purpose.CLEANING))

    def test_no_dhcp_server(self):
        self.only(
            'dhcp-owner',
            we_lease=False,
            entries=entry(PROVISIONING, Purpose.CLEANING),
        )

    def test_network_without_addresses(self):
        bare = dataclasses.replace(PROVISIONING, subnets=0)
        self.only('addresses', entries=entry(bare, Purpose.RESCUING))

    def test_told_in_one_text(self):
        text = finding.told(
            finding.wrong(plan.judge(situation(**self.nic(switch=''))))
        )
        self.assertTrue(text.startswith(f'{NIC.address}: '), text)
        self.assertTrue(text.endswith('.'), text)


class BondAndTrunkTest(PlanTest):
    SECOND = dataclasses.replace(
        NIC, address='52:54:00:00:00:02', uuid='second', port_id='swp2'
    )

    def bond(self, mode='802.3ad', members=2, **changes):
        second = dataclasses.replace(self.SECOND, **changes)
        macs = (NIC.address, second.address)[:members]
        return {
            'nics': (NIC, second),
            'bonds': (wiring.Bond('pg', 'vif', '', mode, macs),),
        }

    def test_bond(self):
        self.assertIn('bond', self.told(State.OK, **self.bond()))

    def test_bond_over_two_physical_networks(self):
        found = self.told(**self.bond(physical_network='physnet2'))
        self.assertIn('physnet1, physnet2', found['bond'].detail)

    def test_bond_of_one(self):
        self.only('bond', State.UNKNOWN, **self.bond(members=1))

    def test_lacp_with_two_switches_is_for_a_person_to_judge(self):
        two = {'switch': 'tor-2'}
        found = self.only('bond', State.UNKNOWN, **self.bond(**two))
        self.assertIn('tor, tor-2', found.detail)
        self.assertIn(
            'bond', self.told(State.OK, **self.bond('active-backup', **two))
        )

    def trunk(self, number=200, network=TENANT, vnic_type='baremetal'):
        one = wiring.Subport(
            'vif', 'vif-2', number, 'mac', network, (), vnic_type
        )
        return {'subports': (one,)}

    def test_trunk(self):
        self.assertIn('trunk-vlan', self.told(State.OK, **self.trunk()))

    def test_trunk_that_the_switch_would_have_to_translate(self):
        found = self.only('trunk-vlan', **self.trunk(42))
        self.assertIn('VLAN 42 of a trunk, and VLAN 200', found.detail)
        self.assertIn('inherit', found.remedy)

    def test_trunk_to_an_overlay(self):
        self.only('trunk-vlan', **self.trunk(7, OVERLAY))

    def test_trunk_at_a_port_that_does_not_boot(self):
        spare, network = self.SPARE, self.OUTSIDE
        parent = plan.Entry(
            Purpose.TENANT, 'vif', network, frozenset({spare.address})
        )
        both = dataclasses.replace(
            network, segments=(*TENANT.segments, *network.segments)
        )
        found = self.told(
            State.OK,
            nics=(NIC, spare),
            entries=(parent,),
            **self.trunk(300, both),
        )
        self.assertIn('trunk-vlan', found)

    def test_subport_that_ovn_looks_for_on_a_host(self):
        found = self.only(
            'trunk-port', State.UNKNOWN, **self.trunk(vnic_type='normal')
        )
        self.assertIn('--vnic-type baremetal vif-2', found.remedy)
