# SPDX-License-Identifier: Apache-2.0
"""The command `zsbm-lab`: a bare-metal lab on this one machine.

Reads its arguments, calls the modules of the lab, and turns their errors into
one line and an exit status. Needs root: it makes a network namespace.
"""

import argparse
import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from zsbm_ironic.common import completion, exception, progress
from zsbm_ironic.lab import demo, faults, hosted, layout, lifecycle, network

NO_LAB = 'There is no lab. Make one with: zsbm-lab up\n'

Handler = Callable[[argparse.Namespace, lifecycle.Lab], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `zsbm-lab`; the exit status is 0, 1 (failed) or 2 (wrong call)."""
    parser = _parser()
    completion.offer(parser)
    arguments = parser.parse_args(argv)
    if os.geteuid() != 0:
        sys.stderr.write('zsbm-lab makes a network namespace: run as root.\n')
        return 2
    lab = _lab()
    handler: Handler = arguments.handler
    try:
        return handler(arguments, lab)
    except exception.ZsbmError as exc:
        sys.stderr.write(f'zsbm-lab: {exc}\n')
        return 1
    except KeyboardInterrupt:
        sys.stderr.write('\nInterrupted: the same command takes it up.\n')
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='zsbm-lab',
        description='Hardware-like servers behind emulated BMCs, a real '
        'Ironic, and the zsbm boot service, in one network namespace.',
        epilog='State: $ZSBM_LAB_DIR (/var/lib/zsbm-lab). Built artefacts: '
        '$ZSBM_LAB_CACHE (/var/cache/zsbm-lab).',
    )
    verbs = parser.add_subparsers(title='commands', required=True)
    up = _verb(verbs, 'up', _up, 'bring the lab up, or what of it is down')
    up.add_argument(
        '--machines',
        metavar='FILE',
        type=pathlib.Path,
        help='TOML file that declares the machines (default: one UEFI, NVMe, '
        'Redfish and one BIOS, SATA, IPMI)',
    )
    up.add_argument(
        '--stack',
        choices=lifecycle.STACKS,
        default='zsbm',
        help='stock: upstream drivers and boot service only, to compare with',
    )
    up.add_argument(
        '--conductors',
        type=int,
        choices=(1, 2),
        default=1,
        help='2: an API and two conductors on MariaDB, each with a boot '
        'service of its own (package mariadb-server)',
    )
    up.add_argument(
        '--second-group',
        metavar='NAME',
        default='',
        help='conductor group of the second conductor, which makes it a '
        'dedicated deploy server (default: that of the first)',
    )
    up.add_argument(
        '--cloud',
        action='store_true',
        help='with Keystone, Glance, Placement, Neutron and Nova: servers '
        'beside VMs',
    )
    up.add_argument(
        '--overlay',
        action='store_true',
        help='as --cloud, with tunnels (Geneve) as the networks of members',
    )
    up.add_argument(
        '--neutron-dhcp',
        action='store_true',
        help='as --cloud, with the DHCP of Neutron for the ramdisk as well',
    )
    up.add_argument(
        '--switch',
        action='store_true',
        help='machines behind a switch that ironic-networking configures, '
        'without Neutron',
    )
    up.add_argument(
        '--monitoring',
        action='store_true',
        help='conductors read the BMCs and serve figures to a Prometheus in '
        'the network of the lab',
    )
    up.add_argument(
        '--bridge',
        metavar='NAME',
        default='',
        help='machines alone, on this bridge of the host, for an Ironic that '
        'is not of the lab; the bridge is made where there is none',
    )
    up.add_argument(
        '--bridge-address',
        metavar='ADDRESS/LENGTH',
        default='',
        help='address of the host on a bridge that is made',
    )
    up.add_argument(
        '--bmc-network',
        metavar='CIDR',
        default=layout.HOSTED_BMC_NETWORK,
        help='with --bridge, that the BMCs have their addresses in, on this '
        'host (default: %(default)s)',
    )
    nodes = _verb(
        verbs,
        'nodes',
        _nodes,
        'print the machines, log-ins included, as `openstack baremetal '
        'create` takes them',
    )
    nodes.add_argument(
        '--resource-class',
        metavar='NAME',
        default='baremetal',
        help='that they are scheduled by (default: %(default)s)',
    )
    nodes.add_argument(
        '--network-interface',
        metavar='NAME',
        help="of each node (default: Ironic's)",
    )
    nodes.add_argument(
        '--physical-network',
        metavar='NAME',
        help='that each port is plugged into (default: none is said)',
    )
    down = _verb(verbs, 'down', _down, 'stop everything of the lab')
    down.add_argument(
        '--wipe',
        action='store_true',
        help='also delete its state: disks, database, logs, keys',
    )
    status = _verb(verbs, 'status', _status, 'what runs, where its logs are')
    status.add_argument(
        '-f', '--format', choices=('text', 'json'), default='text'
    )
    show = _verb(verbs, 'demo', _demo, 'enrol, deploy and give back a server')
    _machine(show, nargs='*', help='names (default: the first machine)')
    show.add_argument(
        '--keep',
        action='store_true',
        help='leave the delivered server running instead of giving it back',
    )
    ssh = _verb(verbs, 'ssh', _ssh, 'log in to a delivered server')
    _machine(ssh)
    ssh.add_argument('command', nargs=argparse.REMAINDER, metavar='CMD')
    _verb(verbs, 'shell', _shell, 'a shell inside the lab, OS_* set')
    run = _verb(verbs, 'exec', _exec, 'run a command inside the lab')
    run.add_argument('command', nargs=argparse.REMAINDER, metavar='-- CMD')
    rack = _verb(
        verbs,
        'fleet',
        _fleet,
        'enrol racks of servers that are emulated BMCs alone',
    )
    rack.add_argument(
        '--ipmi', type=int, default=0, metavar='N', help='that speak IPMI'
    )
    rack.add_argument(
        '--redfish',
        type=int,
        default=0,
        metavar='N',
        help='that speak Redfish',
    )
    fault = _verb(verbs, 'fault', _fault, 'break something on purpose')
    fault.add_argument('kind', choices=faults.KINDS)
    _machine(fault, nargs='?', help='machine that it hits')
    value = fault.add_argument('value', nargs='?', help='per cent, or seconds')
    completion.complete(value, lambda **_asked: ())  # no names of files
    return parser


def _verb(
    verbs: 'argparse._SubParsersAction[argparse.ArgumentParser]',
    name: str,
    handler: Handler,
    text: str,
) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text, description=text + '.')
    verb.set_defaults(handler=handler)
    return verb


def _machine(verb: argparse.ArgumentParser, **how: Any) -> None:
    completion.complete(verb.add_argument('machine', **how), _names)


def _names(**_asked: Any) -> list[str]:
    """Return the machines of the lab, none where its file is wrong."""
    try:
        return _lab().machine_names()
    except exception.ZsbmError:
        return []


def _lab() -> lifecycle.Lab:
    return lifecycle.Lab(layout.Layout.from_environment(), progress.Progress())


def _up(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    machines = arguments.machines
    lab.up(
        lifecycle.Plan(
            stack=arguments.stack,
            machines_file=str(machines.resolve()) if machines else None,
            conductors=arguments.conductors,
            second_group=arguments.second_group,
            cloud=arguments.cloud
            or arguments.overlay
            or arguments.neutron_dhcp,
            overlay=arguments.overlay,
            neutron_dhcp=arguments.neutron_dhcp,
            switch=arguments.switch,
            monitoring=arguments.monitoring,
            bridge=arguments.bridge,
            bridge_address=arguments.bridge_address,
            bmc_network=arguments.bmc_network
            if arguments.bridge
            else layout.BMC_NETWORK,
        )
    )
    verbs = 'nodes' if arguments.bridge else 'demo | shell'
    lab.report.say(f'The lab is up. Go on with: zsbm-lab {verbs} | status')
    return 0


def _nodes(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    if lab.plan() is None:
        sys.stderr.write(NO_LAB)
        return 1
    found = hosted.nodes(
        lab.declared(),
        lab.folders,
        resource_class=arguments.resource_class,
        network_interface=arguments.network_interface,
        physical_network=arguments.physical_network,
    )
    sys.stdout.write(json.dumps({'nodes': found}, indent=2) + '\n')
    return 0


def _down(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    lab.down(wipe=arguments.wipe)
    return 0


def _status(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    status = lab.status()
    if arguments.format == 'json':
        sys.stdout.write(json.dumps(status, indent=2) + '\n')
        return 0
    for process in status['processes']:
        state = f'pid {process["pid"]}' if process['pid'] else 'NOT RUNNING'
        sys.stdout.write(
            f'{process["name"]:<22s} {state:<14s} {process["log"]}\n'
        )
    for machine in status['machines']:
        sys.stdout.write(
            f'{machine["name"]:<22s} {machine["power"]:<14s} '
            f'{machine["serial_log"]}\n'
        )
    for name, value in _cloud_lines(status['cloud'] or {}):
        sys.stdout.write(f'{name:<22s} {value}\n')
    if not status['plan']:
        sys.stdout.write(NO_LAB)
    return 0


def _cloud_lines(cloud: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return what a cloud has in it, one line for each kind of thing."""
    for name, value in cloud.items():
        if isinstance(value, Mapping):
            value = value['name']
        elif not isinstance(value, str):
            value = ', '.join(value)
        yield f'cloud: {name.replace("_", " ")}', value


def _demo(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    declared = lab.declared()
    names = arguments.machine or [declared[0].name]
    for name in names:
        demo.run(lab, demo.find(declared, name), keep=arguments.keep)
    return 0


def _ssh(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    machine = demo.find(lab.declared(), arguments.machine)
    return _enter(demo.Server(lab, machine).ssh_argv(*arguments.command))


def _shell(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    return _enter([os.environ.get('SHELL', '/bin/sh')])


def _exec(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    command = arguments.command
    if command[:1] == ['--']:
        command = command[1:]
    if not command:
        sys.stderr.write('zsbm-lab exec: which command? exec -- CMD ...\n')
        return 2
    return _enter(command)


def _fleet(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    # Imports the emulator, which takes seconds.
    from zsbm_ironic.lab import fleet

    if arguments.ipmi < 0 or arguments.redfish < 0:
        sys.stderr.write('zsbm-lab fleet: a number is 0 or more\n')
        return 2
    if not arguments.ipmi + arguments.redfish:
        sys.stderr.write('zsbm-lab fleet: how many? --ipmi N --redfish M\n')
        return 2
    fleet.up(lab, ipmi=arguments.ipmi, redfish=arguments.redfish)
    return 0


def _fault(arguments: argparse.Namespace, lab: lifecycle.Lab) -> int:
    faults.inject(lab, arguments.kind, arguments.machine, arguments.value)
    return 0


def _enter(command: list[str]) -> int:
    """Replace this process by a command inside the lab's network."""
    if not network.exists():
        sys.stderr.write(NO_LAB)
        return 1
    words = [*network.nsenter(), *command]
    os.execvpe(  # noqa: S606 - a list, never a shell
        words[0], words, {**os.environ, **demo.client_environment()}
    )
