# SPDX-License-Identifier: Apache-2.0
"""Switches and hosts of the cloud: Open vSwitch in user space, and OVN.

The top-of-rack switch is an Open vSwitch of its own, with the machines and
the uplinks of both hosts on it. Each host is a network namespace with an Open
vSwitch that OVN steers: one is the gateway, the other has VMs. Nothing needs a
module of the kernel.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from zsbm_ironic.common import process
from zsbm_ironic.lab import daemon, layout, network

PHYSICAL_NETWORK = 'physnet1'
NORTH_PORT, SOUTH_PORT = 6641, 6642
BRIDGE = 'br-tor'
TIMEOUT_S = 60
_SCHEMAS = pathlib.Path('/usr/share')
_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


@dataclasses.dataclass(frozen=True)
class OpenVSwitch:
    """One Open vSwitch: a database and a data path.

    :ivar name: of the switch or host that has it.
    :ivar root: its folder.
    :ivar namespace: where its ports are.
    """

    name: str
    root: pathlib.Path
    namespace: str

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
                ['--remote=ptcp:6640:127.0.0.1'],
                self.namespace,
            ),
            daemon.Daemon(
                f'{self.name}-vswitchd',
                (
                    *('ovs-vswitchd', self.socket),
                    f'--pidfile={self.root}/ovs-vswitchd.pid',
                    f'--unixctl={self.root}/ovs-vswitchd.ctl',
                ),
                env=self.environment,
                ready=lambda: (self.root / 'ovs-vswitchd.ctl').exists(),
                namespace=self.namespace,
            ),
        ]


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
