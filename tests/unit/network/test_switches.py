# SPDX-License-Identifier: Apache-2.0
"""Each kind of switch: what it prints, and what is made of that.

The answers come over a real SSH connection, through netmiko.
"""

import io
import logging
import time

import testtools

from tests.unit.network import answers, recorded_switch
from zsbm_ironic.network import exception
from zsbm_ironic.network.switches import base, cisco, login, platforms

TIMEOUT_S = 10
MAC = '52:54:00:00:00:07'
TRUNK = frozenset(range(200, 300))


class _Kind:
    """One kind of switch: the same ports under its own names."""

    device_type: str
    answers: dict[str, str]
    port = 'Ethernet1/{}'
    missing = '99'
    heard_on: str
    age_s: int | None = None
    mtu: int

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.recorded = recorded_switch.RecordedSwitch(
            cls.device_type, cls.answers
        )
        cls.recorded.setUp()
        cls.addClassCleanup(cls.recorded.cleanUp)
        cls.switch = login.to(cls.recorded.settings(), timeout_s=TIMEOUT_S)
        cls.addClassCleanup(cls.switch.close)

    def state(self, number):
        return self.switch.port_state(self.port.format(number))

    def test_access_port(self):
        self.assertEqual(
            base.PortState(
                port_id=self.port.format(7),
                exists=True,
                up=True,
                admin_up=True,
                vlan=201,
                tagged=frozenset(),
                mtu=self.mtu,
                deaf_s=0,
            ),
            self.state(7),
        )

    def test_port_without_a_link(self):
        state = self.state(8)
        self.assertEqual((False, True), (state.up, state.admin_up))
        self.assertEqual(201, state.vlan)

    def test_port_that_is_shut_down(self):
        state = self.state(9)
        self.assertEqual((False, False), (state.up, state.admin_up))

    def test_spanning_tree_at_a_trunk(self):
        self.assertEqual(30, self.state(48).deaf_s)

    def test_trunk(self):
        state = self.state(48)
        self.assertEqual((100, TRUNK), (state.vlan, state.tagged))

    def test_port_that_is_not_there(self):
        port_id = self.port.format(self.missing)
        self.assertEqual(
            base.PortState(port_id, exists=False),
            self.switch.port_state(port_id),
        )

    def test_where_a_mac_was_heard(self):
        self.assertEqual(
            (base.Heard(self.heard_on, 201, self.age_s),),
            self.switch.where_is(MAC),
        )
        self.assertTrue(
            self.switch.same_port(self.heard_on, self.port.format(7))
        )
        self.assertEqual((), self.switch.where_is('52:54:00:00:00:99'))

    def test_nothing_but_questions_is_sent(self):
        self.state(48)
        self.switch.where_is(MAC)
        for command in self.recorded.asked:
            self.assertRegex(command, '^(show|terminal) ')


class TestIos(_Kind, testtools.TestCase):
    device_type = 'netmiko_cisco_ios'
    answers = answers.IOS
    port = 'Gi1/0/{}'
    heard_on = 'Gi1/0/7'
    mtu = 1500

    def test_port_that_is_routed(self):
        state = self.state(47)
        self.assertEqual((None, frozenset()), (state.vlan, state.tagged))


class TestNxos(_Kind, testtools.TestCase):
    device_type = 'netmiko_cisco_nxos'
    answers = answers.NXOS
    heard_on = 'Eth1/7'
    age_s = 40
    mtu = 9216

    def test_list_of_vlans_that_goes_on(self):
        error = self.assertRaises(
            exception.SwitchAnswerUnclear, self.state, 49
        )
        self.assertIn('show interface Ethernet1/49 switchport', str(error))


class TestEos(_Kind, testtools.TestCase):
    device_type = 'netmiko_arista_eos'
    answers = answers.EOS
    port = 'Ethernet{}'
    heard_on = 'Ethernet7'
    mtu = 9214

    def test_port_that_is_routed(self):
        state = self.state(47)
        self.assertEqual((None, frozenset()), (state.vlan, state.tagged))


class TestHostile(testtools.TestCase):
    """Answers that no switch gives; and what is said of them."""

    def log_in(self, device_type, command, *given, timeout_s=TIMEOUT_S):
        """Return a switch whose ports 0, 1, ... give these answers."""
        recorded = self.useFixture(
            recorded_switch.RecordedSwitch(
                device_type,
                {command.format(n): answer for n, answer in enumerate(given)},
            )
        )
        switch = login.to(recorded.settings(), timeout_s=timeout_s)
        self.addCleanup(switch.close)
        return switch

    def ios(self, *given, **times):
        command = 'show interfaces Gi1/0/{}'
        return self.log_in('netmiko_cisco_ios', command, *given, **times)

    def unclear(self, switch, port_id):
        error = self.assertRaises(
            exception.SwitchAnswerUnclear, switch.port_state, port_id
        )
        self.assertLess(len(str(error)), 800)
        self.assertTrue(str(error).isprintable())
        return str(error)

    def test_something_else(self):
        given = (
            '',
            'hello\n',
            '\x00\x1b[31m\u202e\n',
            '{"interfaces": [1]}\n',
            '{"interfaces": {"Et7": {}}}\n',
            '{"interfaces": {"Et7": {"lineProtocolStatus": 1, '
            '"interfaceStatus": 2, "mtu": "x"}}}\n',
            '[' * 5000 + '\n',
            'null\n',
        )
        ios = self.ios(*given)
        command = 'show interfaces Et{} | json'
        eos = self.log_in('netmiko_arista_eos', command, *given)
        for number in range(len(given)):
            self.unclear(ios, f'Gi1/0/{number}')
            self.unclear(eos, f'Et{number}')

    def test_two_ports_where_one_was_asked_for(self):
        text = (
            answers.IOS['show interfaces Gi1/0/7 switchport']
            + answers.IOS['show interfaces Gi1/0/48 switchport']
        )
        self.assertRaises(
            ValueError, cisco.read_vlans, cisco.Ios.SWITCHPORT, text
        )

    def test_error_of_the_switch(self):
        said = self.unclear(
            self.ios('% Permission denied for the role\n'), 'Gi1/0/0'
        )
        self.assertIn('% Permission denied for the role', said)
        self.assertIn('try: show interfaces Gi1/0/0', said)

    def test_an_answer_that_does_not_come(self):
        switch = self.ios(None, timeout_s=2)
        began = time.monotonic()
        error = self.assertRaises(
            exception.SwitchSilent, switch.port_state, 'Gi1/0/0'
        )
        switch.close()
        self.assertLess(time.monotonic() - began, 4)
        self.assertIn('asked for port Gi1/0/0', str(error))

    def test_an_answer_that_does_not_end(self):
        switch = self.ios(8 << 20, timeout_s=60)
        self.assertIn('more than 4 MiB', self.unclear(switch, 'Gi1/0/0'))


class TestLogin(testtools.TestCase):
    def recorded(self):
        return self.useFixture(
            recorded_switch.RecordedSwitch('netmiko_cisco_ios', answers.IOS)
        )

    def test_a_switch_that_hangs_up_later(self):
        recorded = self.recorded()
        with login.to(recorded.settings(), timeout_s=TIMEOUT_S) as switch:
            self.assertTrue(switch.port_state('Gi1/0/7').exists)
            recorded.hang_up()
            began = time.monotonic()
            error = self.assertRaises(
                exception.SwitchHungUp, switch.port_state, 'Gi1/0/7'
            )
        self.assertLess(time.monotonic() - began, 3)
        self.assertIn('asked for port Gi1/0/7', str(error))

    def test_password_that_is_not_taken(self):
        error = self.assertRaises(
            exception.SwitchCredentialsRefused,
            login.to,
            self.recorded().settings(password='some-thing-else'),
            timeout_s=TIMEOUT_S,
        )
        self.assertIn('username, password of [genericswitch:', str(error))
        self.assertNotIn('some-thing-else', str(error))

    def test_secrets_are_in_no_log_and_no_repr(self):
        log = io.StringIO()
        handler = logging.StreamHandler(log)
        root = logging.getLogger()
        self.addCleanup(root.setLevel, root.level)
        root.setLevel(logging.DEBUG)
        root.addHandler(handler)
        self.addCleanup(root.removeHandler, handler)
        found = self.recorded().settings(secret='se-cret', passphrase='phra')
        filters = list(logging.getLogger('netmiko').filters)
        with login.to(found, timeout_s=TIMEOUT_S) as switch:
            switch.port_state('Gi1/0/7')
        self.assertIn('show interfaces Gi1/0/7', log.getvalue())
        for word in (recorded_switch.PASSWORD, 'se-cret', 'phra'):
            self.assertNotIn(word, log.getvalue())
            self.assertNotIn(word, repr(found))
        self.assertEqual(filters, logging.getLogger('netmiko').filters)

    def test_kind_that_is_not_asked(self):
        error = self.assertRaises(
            exception.SwitchPlatformUnknown,
            login.to,
            self.recorded().settings(device_type='netmiko_juniper'),
            timeout_s=TIMEOUT_S,
        )
        self.assertIn('ml2_conf.ini, [genericswitch:leaf-3]', str(error))
        for known in platforms.PLATFORMS:
            self.assertIn(known, str(error))

    def test_files_that_cannot_be_used(self):
        found = self.recorded().settings(key_file='/dev/null')
        self.assertRaises(
            exception.SwitchSettingInvalid,
            login.to,
            found,
            timeout_s=TIMEOUT_S,
        )
        self.assertRaises(
            exception.SwitchHostKeysUnreadable,
            login.to,
            self.recorded().settings(),
            known_hosts='/nowhere/known_hosts',
            timeout_s=TIMEOUT_S,
        )


class TestValues(testtools.TestCase):
    def test_mac_address(self):
        for text in (
            '52:54:00:AB:cd:ef',
            '52-54-00-ab-cd-ef',
            '525400abcdef',
            '5254.00ab.cdef',
        ):
            self.assertEqual('52:54:00:ab:cd:ef', base.mac_address(text))
        for text in ('52:54:00-ab:cd:ef', '52:54:00:ab:cd:ef\n', '', None):
            self.assertRaises(
                exception.SwitchQuestionInvalid, base.mac_address, text
            )

    def test_port_name(self):
        for name in ('tap-uefi_0', 'Ethernet1/7', 'xe-0/0/1:2.0', '7'):
            self.assertEqual(name, base.port_name(name))
        for name in ('-x', 'a b', 'a\n', "a'", 'a|b', 'a&', '`a`', 'ä', 7):
            self.assertRaises(
                exception.SwitchQuestionInvalid, base.port_name, name
            )

    def test_list_of_vlans(self):
        self.assertEqual({1, 7, 8, 9}, base.vlan_set('1,7-9'))
        self.assertEqual(frozenset(), base.vlan_set('NONE'))
        for words in ('ALL', '1-4094'):
            self.assertIsNone(base.vlan_set(words))
        for words in (
            '',
            '1,',
            '9-7',
            '0-3',
            '4000-9999',
            '1,1',
            '1-9,2',
            'x',
        ):
            self.assertRaises(ValueError, base.vlan_set, words)

    def test_native_vlan_that_is_not_allowed(self):
        state = base.trunk('Et1', 1, '200-201')
        self.assertIsNone(state.vlan)
        self.assertFalse(state.carries(1))

    def test_names_of_one_port(self):
        for one, other in (
            ('Gi1/0/7', 'GigabitEthernet1/0/7'),
            ('Ethernet1/7', 'eth1/7'),
            ('Po10', 'port-channel10'),
            ('1/7', 'Ethernet1/7'),
        ):
            self.assertTrue(base.same_port(one, other))
            self.assertTrue(base.same_port(other, one))
        for one, other in (
            ('Gi1/0/7', 'Gi1/0/8'),
            ('Te1/0/7', 'Gi1/0/7'),
            ('Et1', 'Et11'),
        ):
            self.assertFalse(base.same_port(one, other))
