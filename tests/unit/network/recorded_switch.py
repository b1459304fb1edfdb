# SPDX-License-Identifier: Apache-2.0
"""A switch that gives written answers over a real SSH connection."""

import socket
import threading
from collections.abc import Mapping
from typing import Any

import fixtures
import paramiko

from zsbm_ironic.network.switches import settings

USERNAME, PASSWORD = 'neutron', 'pass-word-of-it'
# What is said when netmiko makes lines long and leaves pages out.
TERMINAL = {
    'netmiko_arista_eos': 'Width set to 511 columns.\nPagination disabled.\n'
}


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        if (username, password) == (USERNAME, PASSWORD):
            return paramiko.AUTH_SUCCESSFUL
        return paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_pty_request(self, *_words: Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return True


class RecordedSwitch(fixtures.Fixture):
    """Answers one connection after the other, with an echo and a prompt.

    :param answers: what it prints, by the command. A command that is not in
        there gets what Cisco's switches say. None: it prints nothing more,
        and leaves the connection open; a number: as many bytes.
    :ivar asked: the commands that came.
    """

    def __init__(
        self,
        device_type: str,
        answers: Mapping[str, str | int | None],
        prompt: str = 'leaf-3>',
    ) -> None:
        self._device_type = device_type
        self._answers = answers
        self._prompt = prompt
        self._key = paramiko.ECDSAKey.generate()
        self.asked: list[str] = []
        self._transports: list[paramiko.Transport] = []

    def _setUp(self) -> None:
        self.addCleanup(self.hang_up)
        self._server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(self._server.close)
        # Closing alone does not wake who accepts.
        self.addCleanup(self._server.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=self._accept, daemon=True).start()

    def settings(self, **options: Any) -> settings.SwitchSettings:
        """Return how to reach it."""
        return settings.SwitchSettings(
            **{
                'name': 'leaf-3',
                'file': 'ml2_conf.ini',
                'device_type': self._device_type,
                'address': '127.0.0.1',
                'port': self._server.getsockname()[1],
                'username': USERNAME,
                'password': PASSWORD,
                'secret': '',
                'use_keys': False,
                'key_file': None,
                'passphrase': None,
                'known_hosts': None,
                'disabled_algorithms': {},
                'mac': None,
                'ovs_bridge': None,
                **options,
            }
        )

    def hang_up(self) -> None:
        """Close all connections."""
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._server.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            self._transports.append(transport)
            transport.add_server_key(self._key)
            try:
                transport.start_server(server=_Door())
                channel = transport.accept(10)
                if channel is not None:
                    self._converse(channel)
            except (paramiko.SSHException, EOFError, OSError):
                pass

    def _converse(self, channel: paramiko.Channel) -> None:
        lines = channel.makefile('r')
        channel.sendall(f'\r\n{self._prompt}'.encode())
        for line in lines:
            command = line.strip()
            channel.sendall(f'{command}\r\n'.encode())
            if command == 'exit':
                return
            if command:
                self.asked.append(command)
                self._answer(channel, command)
            else:
                channel.sendall(self._prompt.encode())

    def _answer(self, channel: paramiko.Channel, command: str) -> None:
        unknown = "     ^\n% Invalid input detected at '^' marker.\n"
        if command.startswith('terminal '):
            unknown = TERMINAL.get(self._device_type, '')
        answer = self._answers.get(command, unknown)
        if isinstance(answer, int):
            for _ in range(answer >> 16):
                channel.sendall(b'x' * 65535 + b'\n')
        elif answer is not None:
            text = answer.replace('\n', '\r\n')
            channel.sendall(f'{text}{self._prompt}'.encode())
