# SPDX-License-Identifier: Apache-2.0
"""A real switch, asked over a real SSH server, and how that fails."""

import contextlib
import socket
import threading
import time

import testtools

from tests.functional import switch_bench
from zsbm_ironic.lab.cloud import fabric
from zsbm_ironic.network import exception
from zsbm_ironic.network.switches import base, login, settings

TIMEOUT_S = 20
SHORT_S = 2


class TestOpenVSwitch(testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bench = switch_bench.SwitchBench()
        cls.bench.setUp()
        cls.addClassCleanup(cls.bench.cleanUp)
        found = settings.read([cls.bench.file()]).find('tor')
        cls.switch = cls.bench.near(
            lambda: login.to(found, timeout_s=TIMEOUT_S)
        )
        cls.addClassCleanup(cls.switch.close)

    def ask(
        self, question, *, known_hosts=None, timeout_s=TIMEOUT_S, **options
    ):
        """Log in, call `question` with the switch, log out."""
        found = settings.read([self.bench.file(**options)]).find('tor')

        def there():
            with login.to(
                found, known_hosts=known_hosts, timeout_s=timeout_s
            ) as switch:
                return question(switch)

        return self.bench.near(there)

    def port(self, port_id=switch_bench.PORT):
        return self.switch.port_state(port_id)

    def set_port(self, *settings_):
        port = ('port', switch_bench.PORT)
        self.bench.switch.vsctl('set', *port, *settings_)
        self.addCleanup(
            self.bench.switch.vsctl,
            *('clear', *port, 'trunks'),
            *('--', 'set', *port, 'vlan_mode=access'),
            *('--', 'set', *port, f'tag={switch_bench.VLAN}'),
        )

    def test_access_port(self):
        self.assertEqual(
            base.PortState(
                port_id=switch_bench.PORT,
                exists=True,
                up=True,
                admin_up=True,
                vlan=switch_bench.VLAN,
                tagged=frozenset(),
                mtu=1500,
                deaf_s=0,
            ),
            self.port(),
        )

    def test_trunk_with_a_native_vlan(self):
        self.set_port('vlan_mode=native-untagged', 'trunks=201,300')
        state = self.port()
        self.assertEqual(201, state.vlan)
        self.assertEqual({300}, state.tagged)

    def test_trunk_of_all(self):
        self.set_port('vlan_mode=trunk', 'tag=[]')
        state = self.port()
        self.assertIsNone(state.vlan)
        self.assertIsNone(state.tagged)
        self.assertTrue(state.carries(4000))

    def test_link_that_the_far_end_has_down(self):
        link = ('link', 'set', 'eth0')
        self.bench.ip(self.bench.one, *link, 'down')
        self.addCleanup(self.bench.ip, self.bench.one, *link, 'up')
        state = self.port()
        self.assertFalse(state.up)
        self.assertTrue(state.admin_up)

    def test_port_that_is_shut_down(self):
        link = ('link', 'set', switch_bench.PORT)
        self.bench.ip(self.bench.switch.namespace, *link, 'down')
        self.addCleanup(
            self.bench.ip, self.bench.switch.namespace, *link, 'up'
        )
        state = self.port()
        self.assertFalse(state.up)
        self.assertFalse(state.admin_up)

    def test_mtu(self):
        link = ('link', 'set', switch_bench.PORT, 'mtu')
        self.bench.ip(self.bench.switch.namespace, *link, '1400')
        self.addCleanup(
            self.bench.ip, self.bench.switch.namespace, *link, '1500'
        )
        self.assertEqual(1400, self.port().mtu)

    def test_port_that_is_not_there(self):
        self.assertEqual(
            base.PortState('eth99', exists=False), self.port('eth99')
        )

    def test_mac_is_heard_on_its_port(self):
        self.set_port('tag=202')
        self.bench.talk()

        (one,), (other,) = (
            self.switch.where_is(self.bench.mac(name))
            for name in (self.bench.one, self.bench.other)
        )
        self.assertEqual(switch_bench.PORT, one.port_id)
        self.assertEqual(switch_bench.OTHER_PORT, other.port_id)
        self.assertEqual({202}, {one.vlan, other.vlan})
        self.assertLess(one.age_s, 30)
        (there,) = self.ask(
            lambda switch: switch.where_is(
                self.bench.mac(self.bench.one).upper().replace(':', '-')
            ),
            ngs_ovs_bridge=fabric.BRIDGE,
        )
        self.assertEqual(switch_bench.PORT, there.port_id)

    def test_mac_that_nobody_has(self):
        self.assertEqual((), self.switch.where_is('52:54:00:00:00:99'))

    def test_bridge_that_is_not_there(self):
        error = self.assertRaises(
            exception.SwitchSettingInvalid,
            self.ask,
            lambda switch: switch.where_is('52:54:00:00:00:99'),
            ngs_ovs_bridge='br-none',
        )
        self.assertIn('[genericswitch:tor]ngs_ovs_bridge', str(error))
        self.assertIn('br-spare', str(error))

    def test_nothing_of_a_caller_reaches_the_shell(self):
        trace = self.bench.root / 'trace'
        for port_id in (
            f'eth0; touch {trace}',
            f'$(touch {trace})',
            f'eth0\ntouch {trace}\n',
            '--help',
            'x' * 64,
            '',
            None,
        ):
            self.assertRaises(
                exception.SwitchQuestionInvalid, self.port, port_id
            )
        for mac in (f'52:54:00:00:00:01;touch {trace}', '52:54:00', 7):
            self.assertRaises(
                exception.SwitchQuestionInvalid, self.switch.where_is, mac
            )
        self.assertRaises(
            exception.SwitchSettingInvalid,
            self.ask,
            lambda switch: switch.where_is('52:54:00:00:00:01'),
            ngs_ovs_bridge=f'br;touch {trace}',
        )
        self.assertFalse(trace.exists())

    def test_key_that_the_switch_does_not_know(self):
        error = self.assertRaises(
            exception.SwitchCredentialsRefused,
            self.ask,
            None,
            key_file=str(self.bench.new_key()),
        )
        self.assertIn('refused user root', str(error))
        self.assertIn('key_file of [genericswitch:tor]', str(error))

    def test_password_that_the_switch_does_not_take(self):
        error = self.assertRaises(
            exception.SwitchCredentialsRefused,
            self.ask,
            None,
            key_file=None,
            use_keys=None,
            password='not-this-one',
        )
        self.assertIn('publickey', str(error))
        self.assertNotIn('not-this-one', str(error))

    def test_host_key_that_is_known(self):
        state = self.ask(
            lambda switch: switch.port_state(switch_bench.PORT),
            known_hosts=self.bench.known_hosts(),
        )
        self.assertTrue(state.exists)

    def test_host_key_of_somebody_else(self):
        other = self.bench.new_key().with_suffix('.pub')
        error = self.assertRaises(
            exception.SwitchHostKeyUntrusted,
            self.ask,
            None,
            known_hosts=self.bench.known_hosts(other),
        )
        self.assertIn('differs from', str(error))

    def test_host_key_that_is_in_no_file(self):
        empty = self.bench.root / 'empty'
        empty.write_text('')
        error = self.assertRaises(
            exception.SwitchHostKeyUntrusted,
            self.ask,
            None,
            alt_key_file=str(empty),
        )
        self.assertIn('ssh-keyscan -p 2222 127.0.0.1', str(error))

    def test_nothing_listens(self):
        error = self.assertRaises(
            exception.SwitchUnreachable, self.ask, None, port='2'
        )
        self.assertIn('Connection refused', str(error))


class TestFaults(testtools.TestCase):
    """Servers that are no switch."""

    def serve(self, behave):
        """Accept a connection, and behave."""
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)

        def accept():
            with contextlib.suppress(OSError):
                connection, _peer = server.accept()
                self.addCleanup(connection.close)
                behave(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        self.addCleanup(thread.join, 10)
        return settings.SwitchSettings(
            name='leaf-3',
            file='ml2_conf.ini',
            device_type='netmiko_ovs_linux',
            address='127.0.0.1',
            port=server.getsockname()[1],
            username='neutron',
            password='secret-word',
            secret='',
            use_keys=False,
            key_file=None,
            passphrase=None,
            known_hosts=None,
            disabled_algorithms={},
            mac=None,
            ovs_bridge=None,
        )

    def refused(self, kind, behave):
        """Return the message, and hold the time that it took."""
        switch = self.serve(behave)
        began = time.monotonic()
        error = self.assertRaises(kind, login.to, switch, timeout_s=SHORT_S)
        self.assertLess(time.monotonic() - began, SHORT_S + 1.5)
        self.assertIn('leaf-3 (127.0.0.1:', str(error))
        self.assertNotIn('secret-word', repr(switch) + str(error))
        return str(error)

    def test_a_server_that_never_answers(self):
        self.refused(exception.SwitchSilent, lambda connection: None)

    def test_a_server_that_speaks_slowly(self):
        def drip(connection):
            for _ in range(100):
                connection.sendall(b'still here\r\n')
                time.sleep(0.1)

        self.refused(exception.SwitchSilent, drip)

    def test_a_server_that_hangs_up(self):
        said = self.refused(
            exception.SwitchHungUp, lambda connection: connection.close()
        )
        self.assertIn('closed the connection', said)

    def test_a_server_that_never_stops(self):
        def flood(connection):
            with contextlib.suppress(OSError):
                while True:
                    connection.sendall(b'x' * 65536)

        switch = self.serve(flood)
        self.assertRaises(
            (exception.SwitchAnswerUnclear, exception.SwitchSilent),
            login.to,
            switch,
            timeout_s=SHORT_S,
        )

    def test_a_server_that_is_no_ssh(self):
        self.refused(
            (exception.SwitchHungUp, exception.SwitchAnswerUnclear),
            lambda connection: (
                connection.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n'),
                connection.close(),
            ),
        )
