# SPDX-License-Identifier: Apache-2.0
import ipaddress

from oslotest import base

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import subnets

LINE = {'cidr': '198.51.100.0/24', 'range': '198.51.100.10-198.51.100.19'}


def parse_one(**fields):
    return subnets.parse([{**LINE, **fields}])[0]


class TestParse(base.BaseTestCase):
    def test_all_keys(self):
        one = parse_one(
            gateway='198.51.100.1',
            dns='192.0.2.53;192.0.2.54',
            relayed='true',
            physical_network='rack1',
        )
        self.assertEqual(10, one.size)
        self.assertEqual('198.51.100.1', str(one.gateway))
        self.assertEqual(2, len(one.dns))
        self.assertTrue(one.relayed)
        self.assertTrue(one.serves('rack1'))
        self.assertFalse(one.serves(None))

    def test_without_range_nothing_is_assigned(self):
        one = subnets.parse([{'cidr': '198.51.100.0/24'}])[0]
        self.assertEqual(0, one.size)
        self.assertTrue(one.serves('any'))

    def test_each_mistake_is_named(self):
        for fields, words in (
            ({'cidr': '198.51.100.1/24'}, 'host bits'),
            ({'cidr': 'x'}, 'x'),
            ({'range': '198.51.100.10'}, 'FIRST-LAST'),
            ({'range': '198.51.100.20-198.51.100.10'}, 'before it begins'),
            ({'range': '192.0.2.1-192.0.2.9'}, 'not inside'),
            ({'range': '198.51.100.1-198.51.100.255'}, 'broadcast'),
            ({'gateway': '192.0.2.1'}, 'not inside'),
            ({'relayed': 'yes'}, 'true or false'),
            ({'colour': 'red'}, 'colour'),
            ({'dns': 'dns.example'}, 'dns.example'),
        ):
            exc = self.assertRaises(
                exception.NetbootSettingInvalid, parse_one, **fields
            )
            self.assertIn(words, str(exc))

    def test_subnets_may_not_overlap(self):
        self.assertRaises(
            exception.NetbootSettingInvalid,
            subnets.parse,
            [LINE, {'cidr': '198.51.100.128/25'}],
        )


class TestAssign(base.BaseTestCase):
    def test_a_mac_gets_the_same_address_again(self):
        one = parse_one()
        first = subnets.assign('52:54:00:00:00:01', one, ())
        self.assertEqual(first, subnets.assign('52:54:00:00:00:01', one, ()))

    def test_each_address_is_given_once_until_none_is_left(self):
        one = parse_one(gateway='198.51.100.15')
        taken = set()
        for number in range(9):
            mac = f'52:54:00:00:00:{number:02x}'
            taken.add(subnets.assign(mac, one, taken))
        self.assertEqual(9, len(taken))
        self.assertNotIn(ipaddress.IPv4Address('198.51.100.15'), taken)
        exc = self.assertRaises(
            exception.NetbootRangeUsedUp,
            subnets.assign,
            '52:54:00:00:00:ff',
            one,
            taken,
        )
        self.assertIn('Widen the range', str(exc))
