# SPDX-License-Identifier: Apache-2.0
"""Ways to ask a fleet of BMCs for their power, each in a process of its own.

python -m benchmarks.fleets WAY MEMBERS.json: one round to get acquainted,
then one for each line that comes in; a JSON object for each goes out. What is
measured of a round is that of the whole process, with the programs that it
starts. Called by bench_fleet.
"""

import concurrent.futures
import functools
import itertools
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zsbm_ironic.bmc import base, pool, watch
from zsbm_ironic.bmc import credentials as bmc_credentials

# As [conductor]sync_power_state_workers of Ironic, and power_poll_workers.
UPSTREAM_WORKERS, OUR_WORKERS = 8, 8
OUR_PATIENCE_S = 10
# Whoever has not answered upstream's ways by then is not waited for: pyghmi
# may hang for good where a packet is lost.
THEIR_PATIENCE_S = 180
# Between two looks of ours; a conductor takes longer.
TURN_S = 0.2
ON = 'on'

Info = Mapping[str, Any]


class Ipmitool:
    """A process for each question, with the words of upstream's `ipmi`."""

    workers = UPSTREAM_WORKERS

    def __init__(self, members: Mapping[str, Info]) -> None:
        self._password = tempfile.NamedTemporaryFile('w')
        self._password.write(next(iter(members.values()))['bmc_password'])
        self._password.flush()

    def ask(self, _name: str, info: Info) -> str:
        done = subprocess.run(  # noqa: S603 - a list, never a shell
            ['ipmitool', '-I', 'lanplus', '-H', info['bmc_address']]
            + ['-L', 'ADMINISTRATOR', '-p', str(info['bmc_port'])]
            + ['-U', info['bmc_username'], '-v', '-R', '7', '-N', '5']
            + ['-f', self._password.name, 'power', 'status'],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout.strip().rpartition(' ')[2]


class Pyghmi:
    """pyghmi as it is, with sessions that are held."""

    workers = 1

    def __init__(self, members: Mapping[str, Info]) -> None:
        self._held: dict[str, Any] = {}

    def ask(self, name: str, info: Info) -> str:
        from pyghmi.ipmi import command

        if name not in self._held:
            self._held[name] = command.Command(
                info['bmc_address'],
                info['bmc_username'],
                info['bmc_password'],
                port=info['bmc_port'],
            )
        return str(self._held[name].get_power()['powerstate'])


class UpstreamRedfish:
    """Upstream's `redfish`: sushy, by Ironic's own cache of sessions."""

    workers = UPSTREAM_WORKERS

    def __init__(self, members: Mapping[str, Info]) -> None:
        from ironic import objects
        from ironic.conf import CONF

        objects.register_all()
        CONF([], project='ironic', default_config_files=[])
        self._nodes: dict[str, Any] = {}

    def ask(self, name: str, info: Info) -> str:
        from ironic import objects
        from ironic.drivers.modules.redfish import utils

        node = self._nodes.get(name)
        if node is None:
            node = self._nodes[name] = objects.Node(
                uuid=str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
                driver='redfish',
                driver_info={
                    'redfish_address': f'https://{info["bmc_address"]}:'
                    f'{info["bmc_port"]}',
                    'redfish_username': info['bmc_username'],
                    'redfish_password': info['bmc_password'],
                    'redfish_verify_ca': False,
                },
            )
        return str(utils.get_system(node).power_state.value).lower()


class Ours:
    """What a conductor with type `zsbm` has: pool, and watch of the power."""

    def __init__(self, members: Mapping[str, Info]) -> None:
        self._watch = watch.Watch(pool.Pool(), OUR_WORKERS)
        self._watch.watch(
            {
                name: bmc_credentials.Credentials.from_driver_info(info)
                for name, info in members.items()
            }
        )

    def all(self, names: Iterable[str]) -> dict[str, str]:
        """Look until all are known, or for as long as two looks take."""
        pace = watch.Pace(poll_s=0.0, redfish_poll_s=3600.0, limit_s=2.0)
        missing, found = set(names), dict.fromkeys(names, 'no answer')
        until = time.monotonic() + OUR_PATIENCE_S
        turn: set[str] | None = missing

        def note(looks: Iterable[tuple[str, base.PowerState]]) -> None:
            for name, power in looks:
                found[name] = ON if power is base.PowerState.ON else 'off'
                missing.discard(name)

        while missing and time.monotonic() < until:
            note(self._watch.at_once(set(missing)))
            note(self._watch.by_workers(pace, turn and set(turn)))
            # Then those whose turn it is by themselves.
            turn = None
            if missing:
                time.sleep(TURN_S)
        return found


WAYS: dict[str, Callable[[Mapping[str, Info]], Any]] = {
    'ipmitool': Ipmitool,
    'pyghmi': Pyghmi,
    'upstream redfish': UpstreamRedfish,
    'zsbm': Ours,
}


def _each(
    asking: Any, members: Mapping[str, Info], names: Iterable[str]
) -> dict[str, str]:
    """Ask one after the other, some at a time."""

    def state(name: str) -> str:
        try:
            return str(asking.ask(name, members[name]))
        except Exception as exc:
            return f'no answer: {type(exc).__name__}'

    workers = concurrent.futures.ThreadPoolExecutor(asking.workers)
    answers = {name: workers.submit(state, name) for name in names}
    concurrent.futures.wait(answers.values(), THEIR_PATIENCE_S)
    workers.shutdown(wait=False, cancel_futures=True)
    return {
        name: answer.result()
        if answer.done() and not answer.cancelled()
        else 'no answer: it hangs'
        for name, answer in answers.items()
    }


def main(way: str, members_file: str) -> None:
    """Serve rounds until the input ends."""
    members = json.loads(pathlib.Path(members_file).read_text())
    asking = WAYS[way](members)
    one_round = (
        asking.all
        if isinstance(asking, Ours)
        else functools.partial(_each, asking, members)
    )
    for _line in itertools.chain(('',), sys.stdin):
        began, cpu_s, packets = time.monotonic(), _cpu_s(), _packets()
        states = one_round(members)
        print(
            json.dumps(
                {
                    'cpu_s': round(_cpu_s() - cpu_s, 3),
                    'wall_s': round(time.monotonic() - began, 2),
                    'packets': _packets() - packets,
                    'peak_bytes': 1024
                    * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                    'states': states,
                }
            ),
            flush=True,
        )


def _cpu_s() -> float:
    """Return CPU seconds of this process and of those that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(
            resource.getrusage,
            (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN),
        )
    )


def _packets() -> int:
    """Return the packets that this network namespace has sent on loopback."""
    lines = pathlib.Path('/proc/net/dev').read_text().splitlines()
    (words,) = (
        line.split(':')[1].split()
        for line in lines
        if line.strip().startswith('lo:')
    )
    # proc(5): eight columns of what came in, then bytes and packets.
    return int(words[9])


if __name__ == '__main__':
    main(*sys.argv[1:])
