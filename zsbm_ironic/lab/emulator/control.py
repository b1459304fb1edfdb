# SPDX-License-Identifier: Apache-2.0
"""Faults of a running emulator, asked for over a unix socket.

One JSON object a line, one answer a line: ``{"do": NAME, ...}`` is answered
``{"ok": true, ...}`` or ``{"ok": false, "error": TEXT}``. client.py is what
`zsbm-lab fault` and tests use; the names are those of its methods.
"""

import contextlib
import functools
import json
import logging
import pathlib
import socketserver
import threading
from collections.abc import Callable, Mapping
from typing import Any

from zsbm_ironic.common import exception
from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import faults as faults_room
from zsbm_ironic.lab.emulator import sensors
from zsbm_ironic.lab.emulator import service as services

LOG = logging.getLogger(__name__)

_POWER = ('on', 'off', 'cycle', 'reset', 'soft', 'nmi')


class Server:
    """Serves the control socket of an emulator until `stop`."""

    def __init__(
        self, path: pathlib.Path, ask: Callable[[dict[str, Any]], Any]
    ) -> None:
        """Serve.

        :param ask: does what is asked for; see `of_one` and `of_fleet`.
        """
        self._path = path
        path.unlink(missing_ok=True)

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    answer = _answer(ask, line)
                    self.wfile.write(json.dumps(answer).encode() + b'\n')

        self._server = socketserver.ThreadingUnixStreamServer(
            str(path), Handler
        )
        self._server.daemon_threads = True
        path.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={'poll_interval': 0.1},
            name='control',
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and remove the socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()


def _answer(
    ask: Callable[[dict[str, Any]], Any], line: bytes
) -> dict[str, Any]:
    """Run one line; errors become answers."""
    try:
        found = ask(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        return {'ok': False, 'error': f'{type(exc).__name__}: {exc}'}
    except exception.ZsbmError as exc:
        return {'ok': False, 'error': str(exc)}
    return {'ok': True, **(found or {})}


def of_one(service: services.Service) -> Callable[[dict[str, Any]], Any]:
    """Return what does what a process with one BMC is asked for."""
    actions = _Actions(service.chassis, service.faults)
    known: dict[str, Callable[..., Any]] = {
        **actions.known,
        'status': service.status,
        'restart': service.restart,
        'change_certificate': service.change_certificate,
        'link': service.chassis.set_link,
    }
    return lambda request: known[request.pop('do')](**request)


def of_fleet(
    members: Mapping[str, tuple[chassis_room.Chassis, faults_room.Faults]],
    status: Callable[[], dict[str, Any]],
    restart: Callable[[str, float], None],
) -> Callable[[dict[str, Any]], Any]:
    """Return what does what a fleet is asked for.

    A request names its members, or is for all of them.

    :param restart: restarts a member by its name, in so many seconds.
    """
    known: dict[str, dict[str, Callable[..., Any]]] = {
        name: {
            **_Actions(*one).known,
            'restart': functools.partial(restart, name),
        }
        for name, one in members.items()
    }

    def ask(request: dict[str, Any]) -> Any:
        do = request.pop('do')
        if do == 'status':
            return status()
        for name in request.pop('members', None) or known:
            known[name][do](**request)
        return None

    return ask


class _Actions:
    """What can be asked of a BMC; every method takes plain JSON values."""

    def __init__(
        self, chassis: chassis_room.Chassis, faults: faults_room.Faults
    ) -> None:
        self._chassis = chassis
        self._faults = faults

    @property
    def known(self) -> dict[str, Callable[..., Any]]:
        """The methods by their names."""
        return {
            'faults': self.faults,
            'clear': self.clear,
            'power': self.power,
            'reading': self.reading,
        }

    def faults(
        self,
        off: bool | None = None,
        wrong_password: bool | None = None,
        drop_percent: int | None = None,
        delay_s: float | None = None,
    ) -> None:
        """Switch faults; what is not named stays as it is."""
        faults = self._faults
        if off is not None:
            faults.off = bool(off)
        if wrong_password is not None:
            faults.wrong_password = bool(wrong_password)
        if drop_percent is not None:
            faults.drop_percent = max(0, min(100, int(drop_percent)))
        if delay_s is not None:
            faults.delay_s = max(0.0, float(delay_s))

    def clear(self) -> None:
        """Switch all faults off; cables and readings as they were."""
        self.faults(False, False, 0, 0.0)
        self._faults.silence(0)
        self._chassis.readings.overrides.clear()

    def power(self, action: str) -> None:
        """Press a button of the chassis, not through the BMC."""
        if action not in _POWER:
            raise ValueError(f'power action {action!r}: one of {_POWER}')
        chassis = self._chassis
        {
            'on': chassis.power_on,
            'off': chassis.power_off,
            'cycle': chassis.power_cycle,
            'reset': chassis.reset,
            'soft': chassis.soft_off,
            'nmi': chassis.nmi,
        }[action]()

    def reading(self, sensor: str, value: float | None = None) -> None:
        """Make a sensor read something else; None is its own value."""
        if sensor not in [one.name for one in sensors.SENSORS]:
            raise ValueError(f'no sensor {sensor!r}')
        overrides = self._chassis.readings.overrides
        if value is None:
            overrides.pop(sensor, None)
        else:
            overrides[sensor] = float(value)
