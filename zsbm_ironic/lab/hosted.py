# SPDX-License-Identifier: Apache-2.0
"""Machines on a bridge of this host, for an Ironic that is not the lab's.

Called by `up`, `down` and `nodes` where the plan of a lab names a bridge: so
devstack has its servers. Owns the interface with the BMCs' addresses, a tap
for each NIC, and the bridge where it made that; they outlive the command and
go with `disconnect`. A bridge that was there, of Linux or of Open vSwitch,
stays as it was.
"""

import dataclasses
import ipaddress
import json
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from zsbm_ironic.common import artifacts, process
from zsbm_ironic.lab import bench, daemon, layout, machines, network
from zsbm_ironic.lab import exception as lab_exception

# A bridge without ports, as in a lab.
BMC_LINK = 'zsbm-bmc'
# Where the caller is: the host.
HERE = ''


def check_free(network_of_bmcs: str) -> None:
    """See that nothing of this host has an address in the BMCs' network.

    :raises LabSettingInvalid: an interface has, or it is no network.
    """
    try:
        wanted = ipaddress.IPv4Network(network_of_bmcs)
    except ValueError as exc:
        raise lab_exception.LabSettingInvalid(
            where='--bmc-network', what=str(exc)
        ) from exc
    listed = network.ip('-j', '-4', 'address', 'show', namespace=HERE)
    for link in json.loads(listed or '[]'):
        for info in link.get('addr_info', []):
            text = f'{info["local"]}/{info["prefixlen"]}'
            own = ipaddress.IPv4Interface(text).network
            if link['ifname'] != BMC_LINK and wanted.overlaps(own):
                raise lab_exception.LabSettingInvalid(
                    where=f'--bmc-network {network_of_bmcs}',
                    what=f'{link["ifname"]} has {text}; give the BMCs a '
                    'network that nothing here is in',
                )


def connect(
    bridge: str,
    address: str,
    declared: Sequence[machines.Declaration],
    state: pathlib.Path,
) -> None:
    """Plug the machines into a bridge and give the BMCs theirs; idempotent.

    :param bridge: its name; one that is not there is made.
    :param address: the host's on a bridge that is made, with its prefix
        length; empty: none.
    :param state: folder of the lab, kept as the alias of a made bridge.
    :raises LabSettingInvalid: the address is none, or a NIC wants a relay.
    """
    if any(nic.relayed for machine in declared for nic in machine.nics):
        raise lab_exception.LabSettingInvalid(
            where='--bridge', what='relayed NICs need a lab of their own'
        )
    is_ovs = _is_open_vswitch(bridge)
    if not is_ovs:
        _make_bridge(bridge, address, state)
    network.add_link(BMC_LINK, 'type', 'bridge', namespace=HERE)
    for machine in declared:
        own = f'{machine.bmc_address}/32'
        network.set_address(BMC_LINK, own, namespace=HERE)
        for nic in machine.nics:
            network.add_tap(
                nic.tap,
                layout.EMULATOR_UID,
                '' if is_ovs else bridge,
                HERE,
            )
            if is_ovs:
                _ovs_vsctl('--may-exist', 'add-port', bridge, nic.tap)


def disconnect(
    bridge: str,
    declared: Sequence[machines.Declaration],
    state: pathlib.Path,
) -> None:
    """Take away what `connect` made, and nothing else; idempotent."""
    unplug(bridge, declared)
    ours = [bridge] if _alias(bridge) == str(state) else []
    _delete(BMC_LINK, *ours)


def unplug(bridge: str, gone: Sequence[machines.Declaration]) -> None:
    """Take away the taps of some machines; idempotent."""
    taps = [nic.tap for machine in gone for nic in machine.nics]
    if _is_open_vswitch(bridge):
        for tap in taps:
            _ovs_vsctl('--if-exists', 'del-port', bridge, tap)
    _delete(*taps)


def services(
    declared: Sequence[machines.Declaration],
    folders: layout.Layout,
    cache: artifacts.Artifacts,
) -> Iterator[daemon.Daemon]:
    """Return the process of each BMC, made ready to be started.

    :raises ZsbmError: what a machine needs cannot be fetched.
    """
    for machine in declared:
        one = bench.prepare(machine, folders, cache)
        yield dataclasses.replace(one, namespace=None)


def nodes(
    declared: Sequence[machines.Declaration],
    folders: layout.Layout,
    *,
    resource_class: str,
    network_interface: str | None = None,
    physical_network: str | None = None,
) -> list[dict[str, Any]]:
    """Return the machines as the Bare Metal API creates nodes, with secrets.

    The certificate of a BMC is pinned by the fingerprint that the BMC itself
    has, as its label would say.

    :raises LabSettingInvalid: a BMC does not answer.
    """
    return [
        {
            'name': machine.name,
            'driver': 'zsbm',
            'driver_info': _log_in(machine, folders),
            'properties': {'cpu_arch': machine.arch},
            'resource_class': resource_class,
            **_given(network_interface=network_interface),
            'ports': [
                {
                    'address': nic.mac,
                    **_given(physical_network=physical_network),
                }
                for nic in machine.nics
            ],
        }
        for machine in declared
    ]


def _log_in(
    machine: machines.Declaration, folders: layout.Layout
) -> dict[str, str]:
    info = {
        'bmc_address': machine.bmc_address,
        'bmc_username': machines.BMC_USERNAME,
        'bmc_password': machine.bmc_password,
    }
    if machine.protocol == 'redfish':
        pin = bench.fingerprint(machine, folders)
        if pin is None:
            raise lab_exception.LabSettingInvalid(
                where=machine.name,
                what='its BMC does not run; start it with `zsbm-lab up`',
            )
        info['bmc_cert_fingerprint'] = pin
    return info


def _given(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _delete(*names: str) -> None:
    there = network.links(HERE)
    for name in names:
        if name in there:
            network.ip('link', 'delete', name, namespace=HERE)


def _make_bridge(name: str, address: str, state: pathlib.Path) -> None:
    try:
        own = ipaddress.ip_interface(address) if address else None
    except ValueError as exc:
        raise lab_exception.LabSettingInvalid(
            where='--bridge-address', what=str(exc)
        ) from exc
    if name not in network.links(HERE):
        network.add_link(
            name, 'type', 'bridge', 'stp_state', '0', namespace=HERE
        )
        network.ip('link', 'set', name, 'alias', str(state), namespace=HERE)
    if own and _alias(name) == str(state):
        network.set_address(name, str(own), namespace=HERE)


def _alias(name: str) -> str | None:
    if name not in network.links(HERE):
        return None
    (link,) = json.loads(
        network.ip('-j', 'link', 'show', name, namespace=HERE)
    )
    found: str | None = link.get('ifalias')
    return found


def _is_open_vswitch(bridge: str) -> bool:
    if not shutil.which('ovs-vsctl'):
        return False
    return _ovs_vsctl('br-exists', bridge, check=False) == 0


def _ovs_vsctl(*words: str, check: bool = True) -> int:
    return process.run(
        # Where no Open vSwitch runs it would wait for one for ever.
        ['ovs-vsctl', '--timeout=10', *words],
        timeout_s=network.TIMEOUT_S,
        check=check,
    ).returncode
