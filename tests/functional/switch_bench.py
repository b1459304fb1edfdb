# SPDX-License-Identifier: Apache-2.0
"""An Open vSwitch with an SSH server, in a network namespace of its own.

The lab's own switch without a lab: two computers are on it, and its section
in a file as Neutron has it. Needs root; leaves nothing behind.
"""

import contextlib
import pathlib
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable
from typing import TypeVar

import fixtures

from zsbm_ironic.common import process
from zsbm_ironic.lab import daemon, network
from zsbm_ironic.lab.cloud import fabric

VLAN, OTHER_VLAN = 201, 202
PORT, OTHER_PORT = f'join-{VLAN}', f'join-{OTHER_VLAN}'
ADDRESS, OTHER_ADDRESS = '203.0.113.1', '203.0.113.2'
NOBODY = '203.0.113.9'
BRIDGES = (fabric.BRIDGE, 'br-spare')

T = TypeVar('T')


class SwitchBench(fixtures.Fixture):
    """The switch, its computers `one` and `other`, and their settings."""

    def _setUp(self) -> None:
        name = f'zs-{secrets.token_hex(3)}'
        self.one, self.other = f'{name}-1', f'{name}-2'
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='zsbm-switch-'))
        self.addCleanup(shutil.rmtree, self.root)
        self.switch = fabric.OpenVSwitch('tor', self.root / 'tor', name)
        for namespace in (name, self.one, self.other):
            network.create_namespace(namespace)
            self.addCleanup(network.delete_branch, namespace)
        self.supervisor = daemon.Supervisor(
            self.root / 'run', self.root / 'log'
        )
        self.addCleanup(self._stop)
        for one in self.switch.daemons():
            self.supervisor.start(one)
        self.switch.vsctl('--no-wait', 'init')
        for bridge in BRIDGES:
            self.switch.vsctl(
                *('add-br', bridge),
                *('--', 'set', 'bridge', bridge, 'datapath_type=netdev'),
            )
        for namespace, vlan, address in (
            (self.one, VLAN, ADDRESS),
            (self.other, OTHER_VLAN, OTHER_ADDRESS),
        ):
            fabric.join(self.switch, namespace, vlan, f'{address}/24')
        self.supervisor.start(
            fabric.switch_login(self.switch, {fabric.WRITER: (0, 0)})
        )
        self.key = self.root / 'tor' / 'ssh' / 'login'

    def _stop(self) -> None:
        for name in self.supervisor.names():
            self.supervisor.stop(name)

    def file(self, **options: str | None) -> str:
        """Write the section of the switch, and return the file.

        :param options: that differ; None: not there.
        """
        section = {
            'device_type': 'netmiko_ovs_linux',
            'ip': '127.0.0.1',
            'key_file': str(self.key),
            'ngs_mac_address': '52:54:00:AA:00:01',
            'ngs_physical_networks': fabric.PHYSICAL_NETWORK,
            'port': str(fabric.SWITCH_PORT),
            'use_keys': 'true',
            'username': 'root',
            **options,
        }
        path = self.root / f'{secrets.token_hex(3)}.ini'
        lines = [
            f'{key} = {value}'
            for key, value in section.items()
            if value is not None
        ]
        path.write_text('\n'.join(['[genericswitch:tor]', *lines, '']))
        return str(path)

    def known_hosts(self, key: pathlib.Path | None = None) -> str:
        """Write a file with a host key, and return it.

        :param key: public one; None: that of the switch.
        """
        public = (key or self.key.with_name('host.pub')).read_text()
        kind, text, *_comment = public.split()
        path = self.root / f'{secrets.token_hex(3)}.hosts'
        path.write_text(f'[127.0.0.1]:{fabric.SWITCH_PORT} {kind} {text}\n')
        return str(path)

    def new_key(self) -> pathlib.Path:
        """Make a key pair that nobody knows."""
        path = self.root / f'key-{secrets.token_hex(3)}'
        process.run(
            ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', path],
            timeout_s=20,
        )
        return path

    def near(self, function: Callable[[], T]) -> T:
        """Call a function where the switch can be reached."""
        return network.call(function, self.switch.namespace)

    def ip(self, namespace: str, *words: str) -> str:
        """Run `ip` in a namespace."""
        return process.run(
            ['ip', '-n', namespace, *words], timeout_s=20
        ).stdout

    def talk(self) -> None:
        """Let `one` ask `other` for a connection, which refuses it."""

        def connect() -> None:
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection((OTHER_ADDRESS, 9), 10).close()

        network.call(connect, self.one)

    def say(self, namespace: str) -> None:
        """Let a computer send a frame that all of its VLAN hear: ARP."""

        def send() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(b'', (NOBODY, 9))

        network.call(send, namespace)

    def knows(self, mac: str) -> bool:
        """Whether the switch has heard an address."""
        table = process.run(
            ['ovs-appctl', 'fdb/show', fabric.BRIDGE],
            timeout_s=20,
            env=self.switch.environment,
        ).stdout
        return mac in table

    def mac(self, namespace: str) -> str:
        """Return the MAC address of a computer."""
        path = '/sys/class/net/eth0/address'
        done = process.run(
            ['ip', 'netns', 'exec', namespace, 'cat', path], timeout_s=20
        )
        return done.stdout.strip()
