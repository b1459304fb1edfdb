# SPDX-License-Identifier: Apache-2.0
"""Break the lab on purpose, as hardware and networks break by themselves.

Called by `zsbm-lab fault` and by the reliability tests. `clear` undoes all of
it but what cannot be undone (a changed certificate).
"""

from collections.abc import Callable

from zsbm_ironic.lab import (
    bench,
    daemon,
    demo,
    full_disk,
    layout,
    lifecycle,
    network,
)
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.emulator import client as clients

ROGUE = 'rogue-dhcp'
FLEET = 'fleet'
ROGUE_NAMESPACE = f'{layout.NAMESPACE}-rogue'
ROGUE_ADDRESS = '198.51.100.250'

# What hits a machine: name -> what its emulator is asked, given a number.
_AT_MACHINE: dict[str, Callable[[clients.Client, float], None]] = {
    'bmc-off': lambda bmc, _: bmc.faults(off=True),
    'bmc-password': lambda bmc, _: bmc.faults(wrong_password=True),
    'bmc-slow': lambda bmc, value: bmc.faults(delay_s=value),
    'bmc-restart': lambda bmc, value: bmc.restart(value),
    'bmc-certificate': lambda bmc, _: bmc.change_certificate(),
    'cable': lambda bmc, _: bmc.link(0, plugged=False),
}
# What hits the management node or its network.
_AT_LAB: dict[str, Callable[[lifecycle.Lab], None]] = {
    ROGUE: lambda lab: start_rogue_dhcp(lab),
    'disk-full': lambda lab: full_disk.fill(lab.folders.conductor(1)),
    'netboot-kill': lambda lab: lab.supervisor.kill('zsbm-netboot'),
    'conductor-kill': lambda lab: lab.supervisor.kill('ironic'),
}
# A part of the same of a BMC without a machine; bmc-drop too.
_AT_BMC = ('bmc-off', 'bmc-password', 'bmc-slow', 'bmc-restart')
DROP = 'bmc-drop'
KINDS = (*_AT_MACHINE, *_AT_LAB, DROP, 'clear')


def inject(
    lab: lifecycle.Lab, kind: str, machine: str | None, value: str | None
) -> None:
    """Switch one fault on, or all of them off.

    :param kind: one of KINDS.
    :param machine: which machine, or which server of `zsbm-lab fleet`, FLEET
        for all of them; none for a fault of the network.
    :param value: per cent (bmc-drop) or seconds (bmc-slow, bmc-restart).
    :raises LabSettingInvalid: machine or value is missing or wrong.
    """
    if kind == 'clear':
        clear(lab)
        return
    if kind in _AT_LAB:
        _AT_LAB[kind](lab)
        return
    if machine is None:
        raise _wrong(f'fault {kind} wants the name of a machine')
    try:
        number = float(value or 0)
    except ValueError as exc:
        raise _wrong(f'{value!r} is no number') from exc
    if machine == FLEET or machine.startswith(f'{FLEET}-'):
        _inject_in_fleet(lab, kind, machine, number)
        return
    declared = demo.find(lab.declared(), machine)
    if kind == DROP:
        # In the kernel, so that TCP loses packets and not connections.
        network.lose_packets(declared.bmc_address, int(number))
        return
    _AT_MACHINE[kind](bench.client(declared, lab.folders), number)


def _inject_in_fleet(
    lab: lifecycle.Lab, kind: str, name: str, number: float
) -> None:
    bmcs = bench.fleet_client(lab.folders)
    known = bmcs.status()['members'] if has_fleet(lab) else {}
    if not known or name not in (FLEET, *known):
        raise _wrong(f'no server {name} (zsbm-lab fleet has {len(known)})')
    if name != FLEET:
        bmcs = bmcs.of(name)
    if kind == DROP:
        bmcs.faults(drop_percent=int(number))
    elif kind in _AT_BMC:
        _AT_MACHINE[kind](bmcs, number)
    else:
        raise _wrong(f'{kind} is for a machine; {name} is a BMC alone')


def has_fleet(lab: lifecycle.Lab) -> bool:
    """Say whether there are servers of `zsbm-lab fleet`."""
    return lab.supervisor.pid(bench.FLEET_PROCESS) is not None


def clear(lab: lifecycle.Lab) -> None:
    """Undo all faults; what was killed is started again."""
    lab.supervisor.stop(ROGUE)
    network.delete_branch(ROGUE_NAMESPACE)
    full_disk.release(lab.folders.state)
    network.lose_none()
    if has_fleet(lab):
        bench.fleet_client(lab.folders).clear()
    for machine in lab.declared():
        bmc = bench.client(machine, lab.folders)
        bmc.clear()
        # A machine that is off finds its cables plugged when it starts.
        if bmc.status()['power'] == 'on':
            for number in range(len(machine.nics)):
                bmc.link(number, plugged=True)
    plan = lab.plan()
    if plan and not all(map(lab.supervisor.pid, lab.supervisor.names())):
        lab.up(plan)


def start_rogue_dhcp(lab: lifecycle.Lab) -> None:
    """Put a second DHCP server on the wire, which answers everybody."""
    network.create_branch(ROGUE_NAMESPACE, f'{ROGUE_ADDRESS}/24')
    prefix = ROGUE_ADDRESS.rpartition('.')[0]
    lab.supervisor.start(
        daemon.Daemon(
            ROGUE,
            (
                *('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null'),
                *('--port=0', '--user=root', '--log-facility=-'),
                *('--dhcp-leasefile=/dev/null', '--dhcp-authoritative'),
                f'--dhcp-range={prefix}.200,{prefix}.220,255.255.255.0,2m',
            ),
            namespace=ROGUE_NAMESPACE,
        )
    )


def _wrong(what: str) -> lab_exception.LabSettingInvalid:
    return lab_exception.LabSettingInvalid(where='zsbm-lab fault', what=what)
