# SPDX-License-Identifier: Apache-2.0
"""Machines behind a switch, and no Neutron: upstream's ironic-networking.

The switch is the one that a cloud of the lab has. A machine's port of it is in
no VLAN until ironic-networking, told by the conductor, puts it into one.
"""

import pathlib
from collections.abc import Callable, Sequence

from zsbm_ironic.common import progress
from zsbm_ironic.lab import daemon, ironic, layout, network
from zsbm_ironic.lab.cloud import fabric

NAME = 'ironic-networking'
RPC_PORT = 6389
# What a node's user is given in tests: an operator's choice, not Neutron's.
USER_VLAN = fabric.TENANT_VLANS[0]
_OWN = (layout.IRONIC_UID, layout.SHARED_GID)
_PURPOSES = (
    'cleaning',
    'inspection',
    'provisioning',
    'rescuing',
    'servicing',
)


def switch(state: pathlib.Path) -> fabric.OpenVSwitch:
    """Return the switch of a lab.

    :param state: folder of the lab.
    """
    return fabric.switch(state / 'fabric')


def up(
    tor: fabric.OpenVSwitch,
    start: Callable[[daemon.Daemon], None],
    report: progress.Progress,
    taps: Sequence[str],
) -> None:
    """Start the switch, with the machines in it; idempotent.

    :param taps: network devices of the machines.
    """
    fabric.name_ports(taps)
    for one in tor.daemons():
        start(one)
    with report.step('cables'):
        fabric.wire_switch(tor, taps)
    start(fabric.switch_login(tor, {fabric.WRITER: _OWN, fabric.READER: _OWN}))
    ironic.write_config(
        tor.root / 'reader.ini',
        fabric.switch_settings(tor, fabric.READER),
        _OWN,
    )
    ironic.write_config(
        tor.root / 'switches.ini',
        {
            f'switch:{tor.name}': {
                'driver_type': 'generic-switch',
                'device_type': 'netmiko_ovs_linux',
                'address': '127.0.0.1',
                'port': str(fabric.SWITCH_PORT),
                'username': 'root',
                'key_file': str(tor.root / 'ssh' / fabric.WRITER),
                'mac_address': fabric.SWITCH_ID,
            }
        },
        _OWN,
    )
    # It refuses to start where conductors are not called, as in a single
    # process.
    ironic.write_config(
        _own_options(tor), {'DEFAULT': {'rpc_transport': 'json-rpc'}}, _OWN
    )
    ironic.folder(_driver_folder(tor), _OWN, 0o750)


def settings(tor: fabric.OpenVSwitch) -> ironic.Settings:
    """Return what conductor and ironic-networking have in common."""
    boots = f'access/native_vlan={fabric.PROVISIONING_VLAN}'
    return {
        'DEFAULT': {
            'enabled_network_interfaces': 'noop,ironic-networking,zsbm-vlan'
        },
        # A ramdisk that stays on has no network: each purpose has its own.
        'deploy': {'fast_track': 'false'},
        'ironic_networking': {
            'allowed_vlans': ','.join(map(str, fabric.ALLOWED_VLANS)),
            'driver_config_dir': str(_driver_folder(tor)),
            'enabled_switch_drivers': 'generic-switch',
            'rpc_transport': 'json-rpc',
            'switch_config_file': str(tor.root / 'switches.ini'),
            **{f'{purpose}_network': boots for purpose in _PURPOSES},
        },
        'ironic_networking_json_rpc': {
            'auth_strategy': 'noauth',
            'host_ip': '127.0.0.1',
            'port': str(RPC_PORT),
        },
        'zsbm_network': {
            'switch_known_hosts': str(fabric.known_hosts(tor)),
            'switch_settings': str(tor.root / 'reader.ini'),
        },
    }


def service(
    tor: fabric.OpenVSwitch, conductor: ironic.Conductor
) -> daemon.Daemon:
    """Return the process that configures the switch."""
    return daemon.Daemon(
        NAME,
        (
            ironic.executable(NAME),
            *('--config-file', str(conductor.config_file)),
            *('--config-file', str(_own_options(tor))),
            # What it writes of the switches for their driver is read here.
            *('--config-dir', str(_driver_folder(tor))),
        ),
        ironic.identity(),
        ironic.environment(conductor.root),
        ready=lambda: network.listens('127.0.0.1', RPC_PORT, tor.namespace),
    )


def _own_options(tor: fabric.OpenVSwitch) -> pathlib.Path:
    return tor.root / 'networking.conf'


def _driver_folder(tor: fabric.OpenVSwitch) -> pathlib.Path:
    return tor.root / 'driver'
