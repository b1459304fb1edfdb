# SPDX-License-Identifier: Apache-2.0
"""pyghmi as it is, shown at its defects, in a process that may be lost.

``python -m tests.unit.bmc.plain CASE PORT`` prints what it came to as JSON.
Called by test_pyghmi, which does the same by ours.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pyghmi.ipmi import command
from pyghmi.ipmi.private import session

from tests import bmcs
from zsbm_ironic.lab.emulator import fixtures as emulated

COMMANDS = 120
# What pyghmi waits at least before it looks again.
STALL_S = 0.45


def log_in(port: int, password: str = emulated.PASSWORD) -> command.Command:
    """Log in with text, as all who use pyghmi do."""
    return command.Command(bmcs.ADDRESS, 'admin', password, port=port)


def again(port: int) -> Any:
    """Log in, log out, log in."""
    log_in(port).ipmi_session.logout()
    return log_in(port).get_power()['powerstate']


def sha1(port: int) -> Any:
    """Log in to a BMC that answers SHA-1 when it is asked for SHA-256."""
    return log_in(port, bmcs.PASSWORD).get_power()['powerstate']


def descriptors(port: int) -> Any:
    """Log in with a socket whose number select(2) cannot take."""
    bmcs.allow_files(4096)
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    state = log_in(port).get_power()['powerstate']
    return [len(taken), state]


def queue(port: int) -> Any:
    """Ask so many times; count what waits to be handled at the end."""
    bmc = log_in(port)
    for _ in range(COMMANDS):
        bmc.get_power()
    return len(session.sessionqueue)


def stalls(*ports: int) -> Any:
    """Ask from threads, one a BMC; count the commands that were held up."""
    sessions = list(map(log_in, ports))
    return count_stalls([bmc.get_power for bmc in sessions])


def count_stalls(asks: list[Callable[[], object]]) -> int:
    """Run each in a thread of its own; count what took too long."""
    took: list[float] = []

    def work(ask: Callable[[], object]) -> None:
        for _ in range(COMMANDS):
            began = time.monotonic()
            ask()
            took.append(time.monotonic() - began)

    threads = [threading.Thread(target=work, args=(ask,)) for ask in asks]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sum(seconds > STALL_S for seconds in took)


def death(port: int) -> Any:
    """Ask a BMC that dies when told so by a line, and lives by another."""
    bmc = log_in(port)
    print(json.dumps(bmc.get_power()['powerstate']), flush=True)
    sys.stdin.readline()
    return bmc.get_power()['powerstate']


def main() -> None:
    """Run one case; an error is an outcome too."""
    case, *ports = sys.argv[1:]
    cases: dict[str, Callable[..., Any]] = {
        function.__name__: function
        for function in (again, sha1, descriptors, queue, stalls, death)
    }
    try:
        found = cases[case](*map(int, ports))
    except Exception as exc:
        found = f'{type(exc).__name__}: {exc}'
    print(json.dumps(found), flush=True)
    # pyghmi's clean-up at the end may wait for ever.
    os._exit(0)


if __name__ == '__main__':
    main()
