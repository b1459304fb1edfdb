# SPDX-License-Identifier: Apache-2.0
"""Waits until Neutron has bound the ports of a server, or says why it has not.

Neutron answers at once and binds later; a port that no mechanism driver takes
is an entry in its log and nothing else. Called by `checked` after each change,
and to be told how it is now.
"""

import time
from collections.abc import Callable, Iterable

from zsbm_ironic.network import exception, neutron
from zsbm_ironic.network.finding import Finding, Means, State

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
                    port=port, why=_why(state), settings=explain()
                )
        waiting = [
            port
            for port, state in states.items()
            if not (state and state.bound)
        ]
        if not waiting:
            return
        if clock() > deadline:
            raise exception.PortNotBound(
                port=waiting[0],
                why=f'after {limit_s:g} s {_why(states[waiting[0]])}',
                settings=explain(),
            )
        sleep(POLL_S)


def judge(
    about: str, port: str, state: neutron.Binding | None, *, needed: bool
) -> Finding:
    """Return how a port is that a server is in a network by.

    :param about: MAC address that it is the port of.
    :param needed: whether it has to be bound.
    """
    if state and state.bound and not state.failed:
        return Finding(
            'binding',
            State.OK,
            Means.NEUTRON,
            about,
            f'port {port} of Neutron is bound',
        )
    return Finding(
        'binding',
        State.WRONG if needed else State.UNKNOWN,
        Means.NEUTRON,
        about,
        f'port {port} of Neutron is not bound: {_why(state)}',
        'The log of Neutron tells what each mechanism driver said of it.',
    )


def _why(state: neutron.Binding | None) -> str:
    if state is None:
        return 'it is gone'
    if state.failed:
        return 'no mechanism driver of Neutron took it'
    status = 'active' if state.active else 'down'
    return f'it is {status} and {state.kind or "unbound"}'
