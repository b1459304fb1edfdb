# SPDX-License-Identifier: Apache-2.0
"""Sections of networking-generic-switch, right ones and wrong ones."""

import pathlib

import fixtures
import testtools

from zsbm_ironic.network import exception
from zsbm_ironic.network.switches import settings

LEAF = """\
[genericswitch:leaf-3]
device_type = netmiko_cisco_nxos
ip = 192.0.2.33
username = neutron
password = "pass word"
ngs_mac_address = 52:54:00:AA:00:03
ngs_physical_networks = physnet1, physnet2
ngs_ssh_disabled_algorithms = kex:diffie-hellman-group1-sha1,keys:ssh-rsa
ngs_manage_vlans = false
"""
TOR = """\
[ml2]
mechanism_drivers = ovn,genericswitch

[genericswitch:tor]
device_type = netmiko_ovs_linux
ip = ::1
port = 2222
username = root
use_keys = true
secret = of-sudo
ngs_ovs_bridge = br-tor
"""


class TestSettings(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def file(self, *texts):
        path = self.folder / f'{len(list(self.folder.iterdir()))}.ini'
        path.write_text('\n'.join(texts))
        return str(path)

    def find(self, text, name='leaf-3'):
        return settings.read([self.file(text)]).find(name)

    def test_sections_of_several_files(self):
        found = settings.read([self.file(TOR), self.file(LEAF)])
        self.assertEqual(('tor', 'leaf-3'), found.names)
        leaf = found.find('leaf-3')
        self.assertEqual('192.0.2.33:22', leaf.place)
        self.assertEqual('pass word', leaf.password)
        self.assertEqual('52:54:00:aa:00:03', leaf.mac)
        self.assertEqual(
            {'kex': ['diffie-hellman-group1-sha1'], 'keys': ['ssh-rsa']},
            leaf.disabled_algorithms,
        )
        tor = found.find('tor')
        self.assertEqual('[::1]:2222', tor.place)
        self.assertEqual('br-tor', tor.ovs_bridge)
        self.assertTrue(tor.use_keys)
        self.assertEqual('of-sudo', tor.secret)

    def test_switch_is_found_by_mac_before_name(self):
        found = settings.read([self.file(TOR, LEAF)])
        for mac in ('52:54:00:aa:00:03', '52-54-00-AA-00-03'):
            self.assertEqual('leaf-3', found.find(switch_id=mac).name)
            self.assertEqual('leaf-3', found.find('tor', mac).name)
        for other in ('52:54:00:00:00:99', 'no mac', '', None):
            self.assertEqual('tor', found.find('tor', other).name)

    def test_switch_that_no_section_tells_of(self):
        found = settings.read([self.file(TOR, LEAF)])
        error = self.assertRaises(
            exception.SwitchUnknown, found.find, 'leaf-4', '52:54:00:00:00:99'
        )
        self.assertIn('leaf-4', str(error))
        self.assertIn('tells of tor, leaf-3', str(error))
        self.assertRaises(exception.SwitchUnknown, found.find)
        self.assertRaises(
            exception.SwitchUnknown, settings.read([]).find, 'tor'
        )

    def test_later_file_counts(self):
        later = LEAF.replace('192.0.2.33', '192.0.2.34')
        found = settings.read([self.file(LEAF), self.file(later)])
        self.assertEqual('192.0.2.34', found.find('leaf-3').address)

    def test_file_that_cannot_be_read(self):
        binary = self.folder / 'binary'
        binary.write_bytes(b'\x80\xff\x00')
        for path in (str(self.folder / 'none.ini'), str(self.folder), binary):
            error = self.assertRaises(
                exception.SwitchesUnreadable, settings.read, [str(path)]
            )
            self.assertIn(str(path), str(error))
            self.assertIn('[zsbm_network]switch_settings', str(error))

    def test_file_that_is_no_ini_file(self):
        error = self.assertRaises(
            exception.SwitchesUnreadable,
            settings.read,
            [self.file('[genericswitch:x]', 'password is hush-hush')],
        )
        self.assertIn('line 2', str(error))
        self.assertNotIn('hush', str(error))
        self.assertIsNone(error.__cause__)

    def test_options_that_cannot_be_used(self):
        for option, old, new in (
            ('ip', 'ip = 192.0.2.33\n', ''),
            ('device_type', 'device_type = netmiko_cisco_nxos\n', ''),
            ('username', 'username = neutron\n', 'username =\n'),
            ('password', 'password = "pass word"\n', ''),
            ('port', 'username', 'port = 70000\nusername'),
            ('port', 'username', 'port = ssh\nusername'),
            ('use_keys', 'username', 'use_keys = maybe\nusername'),
            ('key_file', 'username', 'key_file = /no/such\nusername'),
            ('alt_key_file', 'username', 'alt_key_file = /no/such\nusername'),
            ('ngs_ssh_disabled_algorithms', 'keys:ssh-rsa', 'ssh-rsa'),
        ):
            error = self.assertRaises(
                exception.SwitchSettingInvalid,
                self.find,
                LEAF.replace(old, new),
            )
            self.assertRegex(
                str(error), rf'\.ini, \[genericswitch:leaf-3\]{option}: .*\.$'
            )

    def test_mistake_in_one_section_hides_no_other(self):
        found = settings.read([self.file(LEAF.replace('ip =', 'ipp ='), TOR)])
        self.assertEqual('tor', found.find('tor').name)
