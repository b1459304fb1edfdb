# SPDX-License-Identifier: Apache-2.0
"""Waits until Neutron has bound the ports of a server, or says why it has not.

Neutron answers at once and binds later; a port that no mechanism driver takes
is an entry in its log and nothing else. Called by `checked` after each change.
"""

import time
from collections.abc import Callable, Iterable

from zsbm_ironic.network import exception, neutron

POLL_S = 0.5


def wait(
    client: neutron.Client,
    ports: Iterable[str],
    *,
    limit_s: float,
    explain: Callable[[], str],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return once each port is bound and active.

    :param ports: ids in Neutron.
    :param limit_s: for all of them together.
    :param explain: told for the error alone; what is wrong with the settings.
    :raises PortNotBound: one is refused, gone, or not ready in time.
    """
    deadline = clock() + limit_s
    waiting = list(ports)
    while waiting:
        states = {port: neutron.binding(client, port) for port in waiting}
        for port, state in states.items():
            if state is None or state.failed:
                raise exception.PortNotBound(
                    port=port,
                    why='it is gone'
                    if state is None
                    else 'no mechanism driver of Neutron took it',
                    settings=explain(),
                )
        waiting = [
            port
            for port, state in states.items()
            if not (state and state.bound)
        ]
        if not waiting:
            return
        if clock() > deadline:
            state = states[waiting[0]]
            raise exception.PortNotBound(
                port=waiting[0],
                why=f'after {limit_s:g} s it is '
                f'{"active" if state and state.active else "down"} and '
                f'{(state and state.kind) or "unbound"}',
                settings=explain(),
            )
        sleep(POLL_S)
