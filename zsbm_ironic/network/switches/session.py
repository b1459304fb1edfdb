# SPDX-License-Identifier: Apache-2.0
"""One login to one switch by SSH: what is sent, how long, how much comes back.

netmiko, which Neutron's driver uses as well, knows the prompts of each kind
of switch; around it are limits that a switch cannot talk its way out of. They
are in the socket: after the time of a question, or more bytes than any answer
has, it delivers an end of file, whatever the library waits for.

Called by the kinds of switch, through `platforms`, which imports this module
when it is needed: netmiko comes with the extra `network` only. The session
ends by `close`.
"""

import contextlib
import math
import pathlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self, TypeVar

import netmiko
import paramiko
import textfsm
from netmiko import session_log

from zsbm_ironic.common import exception as common
from zsbm_ironic.network import exception
from zsbm_ironic.network.switches import base, settings

# A switch of 1000 ports describes them in about 0.4 MiB.
ANSWER_BYTES = 4 << 20

T = TypeVar('T')


class _Wire(socket.socket):
    """A connection that ends when its question may last no longer."""

    deadline = math.inf
    bytes_left = ANSWER_BYTES
    ended = False

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive; b'' is the end, ours or that of the switch."""
        data = b''
        if not self.exhausted:
            try:
                data = super().recv(size, flags)
            except ConnectionError:
                self.ended = True
                raise
            self.bytes_left -= len(data)
        self.ended = not data
        return data

    @property
    def exhausted(self) -> bool:
        """Whether the question has had its time or its bytes."""
        return self.bytes_left < 0 or time.monotonic() > self.deadline


class _Watch(session_log.SessionLog):
    """What netmiko tells of all that it reads: it waits for no dead wire."""

    def __init__(self, wire: _Wire) -> None:
        super().__init__()
        self._wire = wire

    def write(self, data: str) -> None:
        """Record nothing; called each time that netmiko has looked."""
        if not data and (self._wire.ended or self._wire.exhausted):
            raise EOFError('end of the connection')


class Session:
    """A switch that is logged in to.

    :param platform: as netmiko names it.
    :param known_hosts: file with host keys; None: that of the section. Where
        that has none either, any key is taken, as Neutron's driver does: who
        can redirect the conductor's packets is then given the password.
    :param timeout_s: for the login, and once more for each question.
    :raises SwitchUnreachable: nothing accepts a connection.
    :raises SwitchSilent: it took too long.
    :raises SwitchHungUp: it closed the connection.
    :raises SwitchCredentialsRefused: it does not let the user in.
    :raises SwitchHostKeyUntrusted: its host key is another one.
    :raises SwitchSettingInvalid: the private key cannot be used.
    :raises SwitchHostKeysUnreadable: known_hosts cannot be read.
    """

    def __init__(
        self,
        login: settings.SwitchSettings,
        platform: str,
        *,
        known_hosts: str | None = None,
        timeout_s: float,
    ) -> None:
        self.login = login
        self._timeout_s = timeout_s
        self._failed = False
        self._known_hosts = known_hosts or login.known_hosts
        key = _private_key(login)
        _check_known_hosts(self._known_hosts)
        self._wire = self._connect()
        try:
            with self._limited('a login', ''):
                self._netmiko = netmiko.ConnectHandler(
                    device_type=platform,
                    sock=self._wire,
                    session_log=_Watch(self._wire),
                    **self._parameters(key),
                )
        except BaseException:
            self._wire.close()
            raise

    def _connect(self) -> _Wire:
        try:
            plain = socket.create_connection(
                (self.login.address, self.login.port), self._timeout_s
            )
        except OSError as exc:
            raise exception.SwitchUnreachable(
                switch=self.login.name,
                address=self.login.place,
                question='a login',
                answer=exc.strerror or str(exc),
                file=self.login.file,
            ) from exc
        return _Wire(fileno=plain.detach())

    def _parameters(self, key: paramiko.PKey | None) -> dict[str, Any]:
        timeouts = ('auth', 'banner', 'blocking', 'conn')
        return {
            'ip': self.login.address,
            'port': self.login.port,
            'username': self.login.username,
            'password': self.login.password,
            'secret': self.login.secret,
            'pkey': key,
            # Without it paramiko would look into ~/.ssh.
            'use_keys': self.login.use_keys and key is None,
            'disabled_algorithms': dict(self.login.disabled_algorithms),
            'ssh_strict': self._known_hosts is not None,
            'alt_host_keys': self._known_hosts is not None,
            'alt_key_file': self._known_hosts or '',
            'read_timeout_override': self._timeout_s,
            **{f'{name}_timeout': self._timeout_s for name in timeouts},
        }

    def become_root(self) -> None:
        """Be root where the switch is a Linux and the user is another one.

        :raises SwitchCredentialsRefused: `sudo -s` does not take `secret`.
        """
        try:
            with self._limited('root', 'sudo -s'):
                self._netmiko.enable()
        except exception.SwitchAnswerUnclear as exc:
            raise self._refused('sudo: not allowed', 'secret') from exc

    def ask(self, question: str, command: str, read: Callable[[str], T]) -> T:
        """Send a command and return what `read` makes of the answer.

        :param question: what it is about, for messages.
        :param command: made of constants and what `base` has let through.
        :param read: raises ValueError, or whatever Python does, where the
            answer is not in the format of the command.
        :raises SwitchAnswerUnclear: it did.
        """
        with self._limited(question, command):
            answer = str(self._netmiko.send_command(command))
        try:
            return read(answer)
        except (
            *(ValueError, LookupError, TypeError, AttributeError),
            *(RecursionError, textfsm.TextFSMError),
        ) as exc:
            raise self._unclear(question, command, str(exc), answer) from exc

    def close(self) -> None:
        """Log out, with good manners where nothing failed; safe to repeat."""
        if not self._failed:
            self._wire.deadline = time.monotonic() + self._timeout_s
        self._netmiko.disconnect()
        self._wire.close()

    @contextlib.contextmanager
    def _limited(self, question: str, command: str) -> Iterator[None]:
        """Give a question its time and its bytes, and name what goes wrong."""
        self._wire.deadline = time.monotonic() + self._timeout_s
        self._wire.bytes_left = ANSWER_BYTES
        try:
            yield
        # paramiko raises here what its reader met, which is up to the switch.
        except Exception as exc:
            fault = self._fault(exc, question, command)
            self._failed = True
            self._wire.deadline = 0
            raise fault from exc
        self._wire.deadline = math.inf

    def _fault(
        self, exc: Exception, question: str, command: str
    ) -> common.ZsbmError:
        where = {'switch': self.login.name, 'address': self.login.place}
        cause = exc.__context__ or exc
        said = base.printable(str(cause)) or type(cause).__name__
        if self._wire.bytes_left < 0:
            why = f'more than {ANSWER_BYTES >> 20} MiB'
            return self._unclear(question, command, why, '')
        if self._wire.exhausted or isinstance(exc, netmiko.ReadTimeout):
            return exception.SwitchSilent(
                **where, question=question, timeout_s=self._timeout_s
            )
        distrust = _distrust(cause)
        if distrust:
            return exception.SwitchHostKeyUntrusted(
                **where,
                problem=distrust,
                known_hosts=self._known_hosts,
                port=self.login.port,
                host=self.login.address,
            )
        if self._wire.ended:
            return exception.SwitchHungUp(
                **where, question=question, answer=said
            )
        if isinstance(cause, paramiko.AuthenticationException):
            used = ['username']
            used += ['password'] if self.login.password else []
            used += ['key_file'] if self.login.key_file else []
            return self._refused(said.rstrip('.'), ', '.join(used))
        return self._unclear(question, command, type(cause).__name__, said)

    def _refused(
        self, answer: str, options: str
    ) -> exception.SwitchCredentialsRefused:
        return exception.SwitchCredentialsRefused(
            switch=self.login.name,
            address=self.login.place,
            username=self.login.username,
            answer=answer,
            options=options,
            file=self.login.file,
        )

    def _unclear(
        self, question: str, command: str, why: str, answer: str
    ) -> exception.SwitchAnswerUnclear:
        return exception.SwitchAnswerUnclear(
            switch=self.login.name,
            address=self.login.place,
            question=question,
            why=base.printable(why, 120),
            answer=base.printable(answer) or '(nothing)',
            username=self.login.username,
            command=command or 'show version',
        )


class LoggedIn:
    """What every kind of switch here is: somebody is logged in to it.

    :cvar NETMIKO: what netmiko calls this kind.
    """

    NETMIKO: ClassVar[str]

    def __init__(self, asked: Session) -> None:
        self._session = asked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Log out; safe to call twice."""
        self._session.close()

    def _deaf_s(self, port: str) -> int | None:
        """Ask what spanning tree does at a port, where `show` tells.

        :param port: as `base.port_name` returned it.
        """
        return self._session.ask(
            f'port {port}',
            f'show spanning-tree interface {port} detail',
            base.deaf_s,
        )


def _distrust(cause: BaseException) -> str | None:
    """Return what is wrong with a host key; None: that is not the problem."""
    if isinstance(cause, paramiko.BadHostKeyException):
        return 'differs from the one in'
    # paramiko.RejectPolicy raises nothing more particular.
    if 'not found in known_hosts' in str(cause):
        return 'is not in'
    return None


def _private_key(login: settings.SwitchSettings) -> paramiko.PKey | None:
    if login.key_file is None:
        return None
    passphrase = login.passphrase.encode() if login.passphrase else None
    try:
        return paramiko.PKey.from_path(login.key_file, passphrase)
    except (OSError, ValueError, TypeError, paramiko.SSHException) as exc:
        raise login.invalid(
            'key_file',
            f'{login.key_file} is no private key that can be used, or its '
            f'passphrase is another one ({base.printable(str(exc), 80)}).',
        ) from exc


def _check_known_hosts(path: str | None) -> None:
    """Refuse a file that netmiko would take for an empty one.

    :raises SwitchHostKeysUnreadable: it cannot be read.
    """
    if path is None:
        return
    try:
        pathlib.Path(path).open('rb').close()
    except OSError as exc:
        raise exception.SwitchHostKeysUnreadable(
            file=path, problem=exc.strerror
        ) from exc
