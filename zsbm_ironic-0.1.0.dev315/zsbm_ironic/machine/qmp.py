# SPDX-License-Identifier: Apache-2.0
"""The monitor of a running QEMU: one connection, one JSON object a line.

Protocol: QEMU's docs/interop/qmp-spec. Used by `Machine` for short
conversations and by whoever watches a machine for its events.
"""

import json
import pathlib
import socket
import types
from collections.abc import Iterator
from typing import Any, Self

from zsbm_ironic.machine import exception as machine_exception


class Monitor:
    """One connection to a QMP socket; use it as a context manager."""

    def __init__(self, path: pathlib.Path, timeout_s: float = 10) -> None:
        """Connect and leave negotiation mode.

        :raises MachineUnreachable: nobody answers on the socket in time.
        """
        self._path = path
        self._events: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile('rb')
            self._read()
        except (OSError, ValueError) as exc:
            self._socket.close()
            raise self._unreachable(exc) from exc
        self.execute('qmp_capabilities')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up; the machine runs on."""
        self._lines.close()
        self._socket.close()

    def execute(self, command: str, **arguments: Any) -> Any:
        """Run one command and return what it returns.

        :raises MachineUnreachable: the machine went away or hangs.
        :raises MachineRefused: QEMU answered with an error.
        """
        request = {'execute': command, 'arguments': arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b'\n')
            while True:
                answer = self._read()
                if 'event' in answer:
                    self._events.append(answer)
                elif 'error' in answer:
                    raise machine_exception.MachineRefused(
                        command=command, answer=answer['error']['desc']
                    )
                elif 'return' in answer:
                    return answer['return']
        except (OSError, ValueError) as exc:
            raise self._unreachable(exc) from exc

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield events as they come; ends when the machine goes away.

        A reader without end: the time limit of the connection is lifted.
        """
        yield from self._events
        self._events.clear()
        self._socket.settimeout(None)
        while True:
            try:
                answer = self._read()
            except (OSError, ValueError):
                return
            if 'event' in answer:
                yield answer

    def shut_down(self) -> None:
        """End a thread that waits in `events`."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def _read(self) -> dict[str, Any]:
        line = self._lines.readline()
        if not line:
            raise ConnectionResetError('the monitor hung up')
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _unreachable(
        self, exc: Exception
    ) -> machine_exception.MachineUnreachable:
        return machine_exception.MachineUnreachable(
            socket=self._path, answer=exc
        )
