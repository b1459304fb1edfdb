# SPDX-License-Identifier: Apache-2.0
"""Ask a running emulator for faults, over its control socket.

Used by `zsbm-lab fault` and by tests; imports none of the emulator's own
machinery, so that a command line starts quickly.
"""

import json
import pathlib
import socket
from typing import Any

from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.machine import exception as machine_exception

_CLIENT_TIMEOUT_S = 30


class Client:
    """Talks to a running emulator; one connection for each request."""

    def __init__(
        self, path: pathlib.Path, members: tuple[str, ...] = ()
    ) -> None:
        self._path = path
        self._members = members

    def status(self) -> dict[str, Any]:
        """Return power, boot device, addresses, sessions and faults."""
        return self._ask('status')

    def faults(self, **changes: bool | int | float) -> None:
        """Switch off, wrong_password, drop_percent, delay_s."""
        self._ask('faults', **changes)

    def clear(self) -> None:
        """Switch all faults off."""
        self._ask('clear')

    def restart(self, seconds: float) -> None:
        """Restart the BMC: silent for so long, all sessions gone."""
        self._ask('restart', seconds=seconds)

    def change_certificate(self) -> None:
        """Serve another certificate."""
        self._ask('change_certificate')

    def link(self, nic: int, *, plugged: bool) -> None:
        """Pull the cable of a network card, or put it back."""
        self._ask('link', nic=nic, plugged=plugged)

    def power(self, action: str) -> None:
        """Press a button: on, off, cycle, reset, soft or nmi."""
        self._ask('power', action=action)

    def reading(self, sensor: str, value: float | None) -> None:
        """Make a sensor read something else; None is its own value."""
        self._ask('reading', sensor=sensor, value=value)

    def of(self, *members: str) -> 'Client':
        """Return a client of some BMCs of a fleet; without it, of all."""
        return Client(self._path, members)

    def _ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Ask and return the answer.

        :raises EmulatorRefused: the emulator cannot do it.
        :raises MachineUnreachable: no emulator answers on the socket.
        """
        if self._members:
            arguments['members'] = self._members
        request = json.dumps({'do': do, **arguments}).encode() + b'\n'
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_CLIENT_TIMEOUT_S)
                connection.connect(str(self._path))
                connection.sendall(request)
                with connection.makefile('rb') as lines:
                    answer: dict[str, Any] = json.loads(lines.readline())
        except (OSError, ValueError) as exc:
            raise machine_exception.MachineUnreachable(
                socket=self._path, answer=exc
            ) from exc
        if not answer.pop('ok'):
            raise lab_exception.EmulatorRefused(
                request=do, answer=answer['error']
            )
        return answer
