# SPDX-License-Identifier: Apache-2.0
"""Switches and hosts of the cloud: Open vSwitch in user space, and OVN.

The top-of-rack switch is an Open vSwitch of its own, with the machines and
the uplinks of both hosts on it. Each host is a network namespace with an Open
vSwitch that OVN steers: one is the gateway, the other has VMs. Nothing needs a
module of the kernel. From host to host VLANs go over the switch, and tunnels
over a VLAN of their own, which has room for what a tunnel adds.
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

from zsbm_ironic.common import process
from zsbm_ironic.lab import daemon, layout, network

PHYSICAL_NETWORK = 'physnet1'
NORTH_PORT, SOUTH_PORT = 6641, 6642
# The top-of-rack switch: its bridge, what Neutron calls it, where it is told
# what to do.
BRIDGE = 'br-tor'
SWITCH = 'tor'
SWITCH_PORT = 2222
# What a port of the switch says of its switch, by LLDP: its own MAC.
SWITCH_ID = '52:54:00:5a:ff:01'
# Who logs in to the switch, each with a key of its own: Neutron, which
# changes it, and Ironic, which reads.
WRITER, READER = 'login', 'reader'
PROVISIONING_VLAN = 100
# Between the hosts, for Geneve: what it adds to a packet has room.
UNDERLAY_VLAN = 50
UNDERLAY_MTU = 1600
_UNDERLAY = 'br-under'
# networking-generic-switch puts a flat network on this one.
FLAT_VLAN = 1
# That Neutron gives to networks of members, and that it may use at the switch.
TENANT_VLANS = range(200, 300)
ALLOWED_VLANS = (FLAT_VLAN, PROVISIONING_VLAN, *TENANT_VLANS)
GATEWAY = f'{layout.NAMESPACE}-gw'
GATEWAY_NAME = 'gw'
VM_HOST = f'{layout.NAMESPACE}-vm'
_DATABASE_PORT = 6640
# Where programs of a host reach its Open vSwitch.
DATABASE = f'tcp:127.0.0.1:{_DATABASE_PORT}'
TIMEOUT_S = 60
LEG = 'prov-leg'
_SCHEMAS = pathlib.Path('/usr/share')
_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


@dataclasses.dataclass(frozen=True)
class OpenVSwitch:
    """One Open vSwitch: a database and a data path.

    :ivar name: of the switch or host that has it.
    :ivar root: its folder.
    :ivar namespace: where its ports are.
    :ivar address: between services.
    """

    name: str
    root: pathlib.Path
    namespace: str
    address: str = ''

    @property
    def underlay(self) -> str:
        """Where tunnels to a host end: the same number in another network."""
        return layout.UNDERLAY_NETWORK + self.address.rpartition('.')[2]

    @property
    def socket(self) -> str:
        return f'unix:{self.root}/db.sock'

    @property
    def environment(self) -> dict[str, str]:
        return {
            'PATH': _PATH,
            'OVS_RUNDIR': str(self.root),
            'OVN_RUNDIR': str(self.root),
            'OVS_DBDIR': str(self.root),
            'OVS_LOGDIR': str(self.root),
        }

    def vsctl(self, *words: str) -> str:
        """Change or read its settings; returns what ovs-vsctl prints."""
        return process.run(
            [*network.nsenter(self.namespace), 'ovs-vsctl']
            + [f'--db={self.socket}', '--timeout=30', *words],
            timeout_s=TIMEOUT_S,
            env=self.environment,
        ).stdout

    def _answers(self) -> bool:
        asked = process.run(
            ['ovs-appctl', 'version'],
            timeout_s=TIMEOUT_S,
            env=self.environment,
            check=False,
        )
        return asked.returncode == 0

    def daemons(self) -> list[daemon.Daemon]:
        """Return its processes, with the database made; idempotent."""
        self.root.mkdir(parents=True, exist_ok=True)
        database = self.root / 'conf.db'
        _make_database(database, _SCHEMAS / 'openvswitch/vswitch.ovsschema')
        return [
            _database_server(
                f'{self.name}-ovsdb',
                self.root,
                database,
                [f'--remote=ptcp:{_DATABASE_PORT}:127.0.0.1'],
                self.namespace,
            ),
            daemon.Daemon(
                f'{self.name}-vswitchd',
                (
                    *('ovs-vswitchd', self.socket),
                    # Its control socket has its usual name, by which
                    # ovs-appctl of somebody who logs in finds it.
                    f'--pidfile={self.root}/ovs-vswitchd.pid',
                ),
                env=self.environment,
                ready=self._answers,
                namespace=self.namespace,
            ),
        ]


def switch(root: pathlib.Path) -> OpenVSwitch:
    """Return the top-of-rack switch of a cloud."""
    return OpenVSwitch(SWITCH, root / 'tor', layout.NAMESPACE)


def gateway(root: pathlib.Path) -> OpenVSwitch:
    """Return the Open vSwitch of the host that is the gateway."""
    return OpenVSwitch(GATEWAY_NAME, root / 'gw', GATEWAY, layout.GATEWAY)


def vm_host(root: pathlib.Path) -> OpenVSwitch:
    """Return the Open vSwitch of the host that has VMs."""
    return OpenVSwitch('vm', root / 'vm', VM_HOST, layout.VM_HOST)


def name_ports(taps: Sequence[str]) -> None:
    """Give ports the address that they say by LLDP as that of their switch.

    Before the switch starts: it knows its ports from its last life, and reads
    their addresses once.
    """
    for tap in taps:
        network.ip('link', 'set', tap, 'address', SWITCH_ID)


def wire_switch(tor: OpenVSwitch, taps: Sequence[str]) -> None:
    """Plug machines, and the conductor's own leg, into the switch.

    :param taps: network devices of the machines; none is in a network yet.
    """
    tor.vsctl('--no-wait', 'init')
    tor.vsctl(
        *('--may-exist', 'add-br', BRIDGE),
        *('--', 'set', 'bridge', BRIDGE, 'datapath_type=netdev'),
    )
    for tap in taps:
        tor.vsctl('--may-exist', 'add-port', BRIDGE, tap)
        tor.vsctl('set', 'interface', tap, 'lldp:enable=true')
    network.add_pair(LEG, f'{LEG}-tor', layout.BRIDGE)
    _plug(tor, f'{LEG}-tor', f'tag={PROVISIONING_VLAN}', 'vlan_mode=access')


def wire_host(host: OpenVSwitch, tor: OpenVSwitch, *more: str) -> None:
    """Plug a host into the switch and tell its OVN where it is.

    :param more: external IDs beside the usual ones.
    """
    uplink = f'up-{host.name}'
    network.add_pair(f'{uplink}-tor', uplink, namespace=host.namespace)
    # Everything passes; a frame without a tag is one of the flat network.
    _plug(
        tor, f'{uplink}-tor', f'tag={FLAT_VLAN}', 'vlan_mode=native-untagged'
    )
    host.vsctl('--no-wait', 'init')
    for bridge in ('br-int', 'br-ex'):
        host.vsctl(
            *('--may-exist', 'add-br', bridge),
            *('--', 'set', 'bridge', bridge, 'datapath_type=netdev'),
        )
    host.vsctl('--may-exist', 'add-port', 'br-ex', uplink)
    _wire_underlay(host, tor)
    identifiers = {
        'system-id': host.name,
        'hostname': host.name,
        'ovn-remote': f'tcp:{layout.CONTROLLER}:{SOUTH_PORT}',
        'ovn-encap-type': 'geneve',
        'ovn-encap-ip': host.underlay,
        'ovn-bridge-datapath-type': 'netdev',
        'ovn-bridge-mappings': f'{PHYSICAL_NETWORK}:br-ex',
    }
    host.vsctl(
        'set',
        'open_vswitch',
        '.',
        *(
            f'external-ids:{name}={value}'
            for name, value in identifiers.items()
        ),
        *(f'external-ids:{one}' for one in more),
    )


def _wire_underlay(host: OpenVSwitch, tor: OpenVSwitch) -> None:
    """Give a host the NIC that its tunnels use.

    Open vSwitch in user space sends them itself: the address is that of a
    bridge of its own, which has the NIC.
    """
    leg = f'un-{host.name}'
    network.add_pair(f'{leg}-tor', leg, namespace=host.namespace)
    _plug(tor, f'{leg}-tor', f'tag={UNDERLAY_VLAN}', 'vlan_mode=access')
    for name, where in ((f'{leg}-tor', tor), (leg, host)):
        network.ip(
            *('link', 'set', name, 'mtu', str(UNDERLAY_MTU)),
            namespace=where.namespace,
        )
    host.vsctl(
        *('--may-exist', 'add-br', _UNDERLAY),
        *('--', 'set', 'bridge', _UNDERLAY, 'datapath_type=netdev'),
        *('--', '--may-exist', 'add-port', _UNDERLAY, leg),
    )
    network.ip('link', 'set', _UNDERLAY, 'up', namespace=host.namespace)
    network.set_address(
        _UNDERLAY, f'{host.underlay}/24', namespace=host.namespace
    )


def _plug(tor: OpenVSwitch, port: str, *settings: str) -> None:
    tor.vsctl('--may-exist', 'add-port', BRIDGE, port)
    tor.vsctl('set', 'port', port, *settings)


def join(
    tor: OpenVSwitch,
    namespace: str,
    vlan: int,
    address: str,
    *,
    outer: str = '',
    inner: str = 'eth0',
) -> None:
    """Put a namespace on the switch, as any computer of a network; idempotent.

    :param address: with its prefix length.
    :param outer: port of the switch; empty: one for each VLAN.
    :param inner: network interface in the namespace.
    """
    outer = outer or f'join-{vlan}'
    network.create_namespace(namespace)
    network.add_pair(outer, inner, namespace=namespace, home=tor.namespace)
    _plug(tor, outer, f'tag={vlan}', 'vlan_mode=access')
    network.set_address(inner, address, namespace=namespace)


def tag_of(tor: OpenVSwitch, port: str) -> int | None:
    """Return the VLAN that a port of the switch is in; None: in none."""
    said = tor.vsctl('get', 'port', port, 'tag').strip()
    return int(said) if said.isdigit() else None


def map_physical(host: OpenVSwitch, *, mapped: bool) -> None:
    """Let a host have a bridge to the physical network, or not."""
    name = 'ovn-bridge-mappings'
    if mapped:
        host.vsctl(
            *('set', 'open_vswitch', '.'),
            f'external-ids:{name}={PHYSICAL_NETWORK}:br-ex',
        )
    else:
        host.vsctl('remove', 'open_vswitch', '.', 'external-ids', name)


def controller(host: OpenVSwitch) -> daemon.Daemon:
    """Return the process that makes a host do what OVN says."""
    return daemon.Daemon(
        f'{host.name}-ovn-controller',
        (
            *('ovn-controller', host.socket),
            f'--pidfile={host.root}/ovn-controller.pid',
        ),
        env=host.environment,
        namespace=host.namespace,
    )


def switch_settings(
    tor: OpenVSwitch, who: str
) -> dict[str, dict[str, str | list[str]]]:
    """Return the section of the switch, as networking-generic-switch has it.

    :param who: WRITER or READER.
    """
    return {
        f'genericswitch:{tor.name}': {
            'device_type': 'netmiko_ovs_linux',
            'ip': '127.0.0.1',
            'key_file': str(tor.root / 'ssh' / who),
            'ngs_allowed_vlans': ','.join(map(str, ALLOWED_VLANS)),
            'ngs_mac_address': SWITCH_ID,
            'ngs_ovs_bridge': BRIDGE,
            'ngs_physical_networks': PHYSICAL_NETWORK,
            'port': str(SWITCH_PORT),
            'use_keys': 'true',
            'username': 'root',
        }
    }


def known_hosts(tor: OpenVSwitch) -> pathlib.Path:
    """Write the host key of the switch where SSH clients look for it."""
    path = tor.root / 'ssh' / 'known_hosts'
    kind, key, *_ = (path.with_name('host.pub')).read_text().split()
    path.write_text(f'[127.0.0.1]:{SWITCH_PORT} {kind} {key}\n')
    return path


def switch_login(
    tor: OpenVSwitch, owners: Mapping[str, tuple[int, int]]
) -> daemon.Daemon:
    """Return the SSH server by which the switch is told what to do.

    :param owners: user and group that has the key of WRITER, of READER.
    """
    folder = tor.root / 'ssh'
    folder.mkdir(mode=0o755, exist_ok=True)
    for name in ('host', *owners):
        if not (folder / f'{name}.pub').exists():
            (folder / name).unlink(missing_ok=True)
            process.run(
                ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '']
                + ['-C', f'zsbm-lab {name}', '-f', folder / name],
                timeout_s=TIMEOUT_S,
            )
    for name, owner in owners.items():
        os.chown(folder / name, *owner)
    options = {
        'AllowUsers': 'root',
        'AuthorizedKeysFile': ' '.join(
            f'{folder}/{one}.pub' for one in owners
        ),
        'HostKey': folder / 'host',
        'ListenAddress': f'127.0.0.1:{SWITCH_PORT}',
        'PasswordAuthentication': 'no',
        'PermitRootLogin': 'prohibit-password',
        'PidFile': 'none',
        'PrintMotd': 'no',
        'SetEnv': f'OVS_RUNDIR={tor.root}',
        'StrictModes': 'no',
        'UsePAM': 'no',
    }
    settings = folder / 'sshd_config'
    settings.write_text(
        ''.join(f'{name} {value}\n' for name, value in options.items())
    )
    # Where it goes to be without rights.
    pathlib.Path('/run/sshd').mkdir(mode=0o755, exist_ok=True)
    return daemon.Daemon(
        f'{tor.name}-ssh',
        ('/usr/sbin/sshd', '-D', '-e', '-f', str(settings)),
        env={'PATH': _PATH},
        ready=lambda: network.listens('127.0.0.1', SWITCH_PORT, tor.namespace),
        namespace=tor.namespace,
    )


def central(root: pathlib.Path) -> list[daemon.Daemon]:
    """Return OVN's databases and what translates one into the other."""
    found = []
    for kind, port in (('nb', NORTH_PORT), ('sb', SOUTH_PORT)):
        folder = root / kind
        folder.mkdir(parents=True, exist_ok=True)
        database = folder / f'{kind}.db'
        _make_database(database, _SCHEMAS / f'ovn/ovn-{kind}.ovsschema')
        found.append(
            _database_server(
                f'ovn-{kind}',
                folder,
                database,
                [f'--remote=ptcp:{port}:{layout.CONTROLLER}'],
                layout.NAMESPACE,
            )
        )
    where = f'tcp:{layout.CONTROLLER}'
    found.append(
        daemon.Daemon(
            'ovn-northd',
            (
                *('ovn-northd', f'--ovnnb-db={where}:{NORTH_PORT}'),
                f'--ovnsb-db={where}:{SOUTH_PORT}',
                f'--unixctl={root}/northd.ctl',
            ),
            env={'PATH': _PATH, 'OVN_RUNDIR': str(root)},
        )
    )
    return found


def _make_database(database: pathlib.Path, schema: pathlib.Path) -> None:
    if not database.exists():
        process.run(
            ['ovsdb-tool', 'create', database, schema], timeout_s=TIMEOUT_S
        )


def _database_server(
    name: str,
    root: pathlib.Path,
    database: pathlib.Path,
    remotes: Sequence[str],
    namespace: str,
) -> daemon.Daemon:
    socket = root / 'db.sock'
    return daemon.Daemon(
        name,
        (
            *('ovsdb-server', str(database), f'--remote=punix:{socket}'),
            *remotes,
            f'--unixctl={root}/ovsdb.ctl',
        ),
        env={'PATH': _PATH},
        ready=socket.exists,
        namespace=namespace,
    )
