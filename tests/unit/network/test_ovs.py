# SPDX-License-Identifier: Apache-2.0
"""What ovs-vsctl and ovs-appctl print, in the shapes of RFC 7047."""

import json
import uuid

import testtools

from zsbm_ironic.network.switches import ovs

NONE = ['set', []]
EMPTY = ['map', []]


def _id(name):
    return ['uuid', str(uuid.uuid5(uuid.NAMESPACE_DNS, name))]


def interface(name, ofport=1, admin='up', link='up', mtu=1500):
    """A row of table Interface."""
    return [_id(name), name, ofport, admin, link, mtu]


def port(name, tag=NONE, trunks=NONE, mode=NONE, members=None, config=EMPTY):
    """A row of table Port."""
    ids = [_id(member) for member in members or [name]]
    plugged = ids[0] if len(ids) == 1 else ['set', ids]
    return [_id(f'port {name}'), name, tag, trunks, mode, plugged, config]


def printed(ports, interfaces, bridge='br-tor', tree=(False, False, EMPTY)):
    """What ovs.DATABASE prints.

    :param tree: stp_enable, rstp_enable, other_config of the bridge.
    """
    ids = ['set', [_id(f'port {row[1]}') for row in ports]]
    tables = (
        (
            ['name', 'ports', 'stp_enable', 'rstp_enable', 'other_config'],
            [[bridge, ids, *tree]],
        ),
        (
            ['_uuid', 'name', 'tag', 'trunks', 'vlan_mode', 'interfaces']
            + ['other_config'],
            ports,
        ),
        (
            ['_uuid', 'name', 'ofport', 'admin_state', 'link_state', 'mtu'],
            interfaces,
        ),
    )
    return ''.join(
        json.dumps({'headings': headings, 'data': data}) + '\n'
        for headings, data in tables
    )


class TestDatabase(testtools.TestCase):
    def state(self, row, *interfaces):
        text = printed([row], interfaces or [interface(row[1])])
        ((found,),) = ovs.read_database(text).values()
        return found.state()

    def test_modes(self):
        some = ['set', [201, 300]]
        for tag, trunks, mode, vlan, tagged in (
            (201, NONE, NONE, 201, set()),
            (201, NONE, 'access', 201, set()),
            (201, some, 'access', 201, set()),
            (201, NONE, 'dot1q-tunnel', 201, set()),
            (NONE, NONE, NONE, None, None),
            (NONE, 300, NONE, None, {300}),
            (201, some, 'trunk', None, {201, 300}),
            (201, some, 'native-untagged', 201, {300}),
            (201, NONE, 'native-untagged', 201, None),
            (100, some, 'native-tagged', 100, {100, 201, 300}),
        ):
            state = self.state(port('tap0', tag, trunks, mode))
            self.assertEqual((vlan, tagged), (state.vlan, state.tagged), mode)

    def test_bond_has_a_link_while_one_member_has(self):
        row = port('bond0', 201, members=['eth0', 'eth1'])
        state = self.state(
            row,
            interface('eth0', 1, link='down', mtu=9000),
            interface('eth1', 2, mtu=1500),
        )
        self.assertEqual((True, 1500), (state.up, state.mtu))
        state = self.state(
            row,
            interface('eth0', link='down'),
            interface('eth1', link='down'),
        )
        self.assertFalse(state.up)

    def test_interface_that_could_not_be_added(self):
        state = self.state(
            port('tap0', 201), interface('tap0', -1, NONE, NONE, NONE)
        )
        self.assertEqual(
            (None, None, None), (state.up, state.admin_up, state.mtu)
        )

    def test_spanning_tree(self):
        delay = ['map', [['stp-forward-delay', '4']]]
        no_stp = ['map', [['stp-enable', 'false']]]
        no_rstp = ['map', [['rstp-enable', 'false']]]
        edge = ['map', [['rstp-port-admin-edge', 'true']]]
        never = ['map', [['rstp-port-auto-edge', 'false']]]
        for tree, config, deaf_s in (
            ((False, False, EMPTY), EMPTY, 0),
            ((True, False, EMPTY), EMPTY, 30),
            ((True, False, delay), EMPTY, 8),
            ((True, False, EMPTY), no_stp, 0),
            ((False, True, EMPTY), EMPTY, 3),
            ((False, True, EMPTY), edge, 0),
            ((False, True, EMPTY), no_rstp, 0),
            ((False, True, EMPTY), never, 30),
        ):
            text = printed(
                [port('tap0', config=config)], [interface('tap0')], tree=tree
            )
            ((found,),) = ovs.read_database(text).values()
            self.assertEqual(deaf_s, found.state().deaf_s, (tree, config))

    def test_something_else(self):
        good = printed([port('tap0')], [interface('tap0')])
        for text in (
            '',
            'bash: ovs-vsctl: command not found\n',
            good.replace('"br-tor"', '"br;reboot"'),
            good.replace('"tap0"', '7', 1).replace('"uuid"', '"set"'),
            printed([port('tap0', 'x')], [interface('tap0')]),
            printed([port('tap0')], []),
            '{}\n{}\n{}\n',
            good + good,
        ):
            self.assertRaises(
                (ValueError, LookupError, TypeError, AttributeError),
                ovs.read_database,
                text,
            )


class TestForwarding(testtools.TestCase):
    HEAD = ' port  VLAN  MAC                Age\n'

    def test_table(self):
        text = self.HEAD + (
            '    3   201  52:54:00:00:00:07    4\n'
            'LOCAL     0  52:54:00:00:00:08    0\n'
            '    4     0  52:54:00:00:00:09  static\n'
        )
        self.assertEqual(
            [
                ('3', 201, '52:54:00:00:00:07', 4),
                ('LOCAL', None, '52:54:00:00:00:08', 0),
                ('4', None, '52:54:00:00:00:09', None),
            ],
            ovs.read_fdb(text),
        )
        self.assertEqual([], ovs.read_fdb(self.HEAD))

    def test_something_else(self):
        for text in ('', 'no such bridge\n', self.HEAD + 'one two three\n'):
            self.assertRaises(ValueError, ovs.read_fdb, text)
