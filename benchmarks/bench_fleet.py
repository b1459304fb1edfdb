# SPDX-License-Identifier: Apache-2.0
"""A fleet of BMCs asked for its power, as upstream does it and as we do.

All are emulated, in one process and in a network namespace of their own: 700
that speak IPMI, 300 that speak Redfish. Every way asks the same ones, in the
same states: quiet; 2 and 10 per cent of packets lost; one of twenty dead; all
restarted at once. CPU is that of who asks.

python -m benchmarks.bench_fleet [--ipmi N] [--redfish N] [--state STATE]...
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import asked, fleets, kept, served
from tests.matrix import results

RESULT = kept.FOLDER / 'fleet.json'
PROTOCOL = {
    'ipmitool': ('ipmi',),
    'pyghmi': ('ipmi',),
    'upstream redfish': ('redfish',),
    'zsbm': ('ipmi', 'redfish'),
}
STATES = asked.STATES
# One of so many.
DEAD = 20
RESTART_S = 20


def main() -> None:
    """Measure what is missing of the result file, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--ipmi', type=int, default=700)
    parser.add_argument('--redfish', type=int, default=300)
    parser.add_argument('--state', action='append', choices=STATES)
    arguments = parser.parse_args()
    served.in_a_namespace('benchmarks.bench_fleet')
    tree = results.tree_hash(('benchmarks.bench_fleet',))
    sizes = f'{arguments.ipmi} IPMI, {arguments.redfish} Redfish'
    runs = [
        one for one in kept.load(RESULT, tree, dict) if one['fleet'] == sizes
    ]
    with served.serving(arguments.ipmi, arguments.redfish) as fleet:
        for state in arguments.state or STATES:
            for way, protocols in PROTOCOL.items():
                for protocol in protocols:
                    if any(
                        (one['state'], one['protocol'], one['way'])
                        == (state, protocol, way)
                        for one in runs
                    ):
                        continue
                    found = _measure(fleet, state, protocol, way)
                    runs.append({'fleet': sizes, **found})
                    RESULT.write_text(
                        json.dumps({'tree': tree, 'runs': runs}, indent=1)
                        + '\n'
                    )
                    _show(runs[-1:])
    _show(runs)
    if figures := os.environ.get('ZSBM_FIGURES'):
        pathlib.Path(figures).write_text(json.dumps(asked.figures(runs)))


def _measure(
    fleet: served.Served, state: str, protocol: str, way: str
) -> dict[str, Any]:
    """Let one way ask its part of the fleet: acquainted, then in a state."""
    members = fleet.of(protocol)
    dead = list(members)[::DEAD]
    fleet.control.clear()
    with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
        json.dump(members, file)
        file.flush()
        asking = subprocess.Popen(  # noqa: S603 - a list, never a shell
            [sys.executable, '-m', fleets.__name__, way, file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            json.loads(asking.stdout.readline())
            _break(fleet, state, members, dead)
            asking.stdin.write('\n')
            asking.stdin.flush()
            found = json.loads(asking.stdout.readline())
        finally:
            # Sessions that it holds end with the fleet.
            asking.kill()
            asking.communicate()
            fleet.control.clear()
    states = found.pop('states')
    expected = dict.fromkeys(members, fleets.ON)
    if state.startswith('dead'):
        expected |= dict.fromkeys(dead, None)
    answered = {
        name: said
        for name, said in states.items()
        if not said.startswith('no answer')
    }
    return {
        'state': state,
        'protocol': protocol,
        'way': way,
        'bmcs': len(members),
        'silent': len(members) - len(answered),
        'wrong': sum(
            said != expected[name] for name, said in answered.items()
        ),
        **found,
    }


def _break(
    fleet: served.Served, state: str, members: dict[str, Any], dead: list[str]
) -> None:
    if state.startswith('loss'):
        per_cent = int(state.split()[1])
        fleet.control.of(*members).faults(drop_percent=per_cent)
    elif state.startswith('dead'):
        fleet.control.of(*dead).faults(off=True)
    elif state == 'restarted':
        fleet.control.of(*members).restart(RESTART_S)
        time.sleep(RESTART_S)


def _show(runs: list[dict[str, Any]]) -> None:
    for row in asked.table(runs):
        print(
            '{:10} {:17} {:>5} {:>9} {:>9} {:>9} {:>8} {:>5} {:>6}'
            ' {:>5}'.format(*row),
            flush=True,
        )


if __name__ == '__main__':
    main()
