# SPDX-License-Identifier: Apache-2.0
"""One API and two conductors on one database.

For what a single process cannot show: a conductor that dies and is taken
over, nodes that move by rebalance, the boot role that moves to a dedicated
deploy server. The second conductor lives in a network namespace of its own,
on the same provisioning network. Called by `zsbm-lab up --conductors 2`.
"""

import pathlib
import secrets
import shutil
import socket

from zsbm_ironic.common import process, whole_file
from zsbm_ironic.lab import daemon, ironic, layout, network
from zsbm_ironic.lab import exception as lab_exception

SERVER = pathlib.Path('/usr/sbin/mariadbd')
DATABASE_PORT = 3306
# [json_rpc]port of Ironic.
RPC_PORT = 8089
TIMEOUT_S = 120
ACCOUNT = """\
CREATE DATABASE IF NOT EXISTS ironic CHARACTER SET utf8mb4;
CREATE OR REPLACE USER 'ironic'@'%' IDENTIFIED BY '{password}';
GRANT ALL ON ironic.* TO 'ironic'@'%';
"""


def namespace(number: int) -> str:
    """Return the namespace that conductor `number` lives in."""
    return layout.NAMESPACE if number == 1 else f'{layout.NAMESPACE}-{number}'


def connect(number: int) -> None:
    """Plug the namespace of a further conductor into the network."""
    network.create_branch(
        namespace(number), f'{layout.CONDUCTOR_ADDRESSES[number - 1]}/24'
    )
    network.route(
        layout.BMC_NETWORK,
        layout.CONDUCTOR_ADDRESSES[0],
        namespace=namespace(number),
    )


def settings(
    conductor: ironic.Conductor, state: pathlib.Path, group: str
) -> ironic.Settings:
    """Return the options of a conductor that shares the database.

    :param group: its conductor group; empty: the default one.
    """
    password = _password(state / 'database' / 'password')
    where = f'{layout.CONDUCTOR_ADDRESSES[0]}:{DATABASE_PORT}'
    return {
        'DEFAULT': {
            'host': conductor.address,
            'rpc_transport': 'json-rpc',
            'hash_ring_reset_interval': '2',
        },
        'api': {'api_workers': '1'},
        'conductor': {
            'conductor_group': group,
            'heartbeat_interval': '2',
            'heartbeat_timeout': '12',
            'sync_local_state_interval': '10',
        },
        'database': {
            'connection': f'mysql+pymysql://ironic:{password}@{where}/ironic'
            '?charset=utf8mb4'
        },
        'json_rpc': {
            'auth_strategy': 'noauth',
            'host_ip': conductor.address,
        },
    }


def database(
    state: pathlib.Path, address: str = layout.CONDUCTOR_ADDRESSES[0]
) -> daemon.Daemon:
    """Return a MariaDB with its folder made; idempotent.

    :param address: where it is reached.
    :raises LabSettingInvalid: it is not installed.
    """
    if not SERVER.exists():
        raise lab_exception.LabSettingInvalid(
            where='zsbm-lab up --conductors 2',
            what='it needs MariaDB; as root: apt-get install mariadb-server',
        )
    root = state / 'database'
    data = root / 'data'
    own = (layout.DATABASE_UID, layout.SHARED_GID)
    ironic.folder(root, own, 0o750)
    who = daemon.Identity(*own)
    if not (root / 'made').exists():
        shutil.rmtree(data, ignore_errors=True)
        process.run(
            [
                *who.argv(),
                'mariadb-install-db',
                '--no-defaults',
                f'--datadir={data}',
                '--skip-test-db',
                '--auth-root-authentication-method=normal',
            ],
            timeout_s=TIMEOUT_S,
        )
        (root / 'made').touch()
    return daemon.Daemon(
        'mariadb',
        (
            str(SERVER),
            '--no-defaults',
            f'--datadir={data}',
            f'--socket={root}/socket',
            f'--pid-file={root}/pid',
            f'--bind-address={address}',
            f'--port={DATABASE_PORT}',
            '--skip-name-resolve',
            # A lab that dies is made anew: no need to wait for the disk.
            '--innodb-flush-log-at-trx-commit=0',
            '--innodb-doublewrite=0',
        ),
        who,
        ready=lambda: network.accepts(root / 'socket'),
        ready_s=TIMEOUT_S,
    )


def make_account(state: pathlib.Path, *, anew: bool) -> None:
    """Make Ironic's database and account; idempotent.

    :param anew: forget the tables that an interrupted run left.
    """
    root = state / 'database'
    password = _password(root / 'password')
    forget = 'DROP DATABASE IF EXISTS ironic;\n' if anew else ''
    process.run(
        ['mariadb', '--no-defaults', f'--socket={root}/socket', '-uroot'],
        timeout_s=TIMEOUT_S,
        stdin=forget + ACCOUNT.format(password=password),
    )


def api(conductor: ironic.Conductor) -> daemon.Daemon:
    """Return the process that is the API alone."""
    return daemon.Daemon(
        'ironic-api',
        (
            ironic.executable('ironic-api'),
            '--config-file',
            str(conductor.config_file),
        ),
        ironic.identity(),
        ironic.environment(conductor.root),
        ready=ironic.api_listens,
        ready_s=TIMEOUT_S,
    )


def process_of(conductor: ironic.Conductor) -> daemon.Daemon:
    """Return the process that is one conductor."""
    return daemon.Daemon(
        conductor.name,
        (
            ironic.executable('ironic-conductor'),
            '--config-file',
            str(conductor.config_file),
        ),
        ironic.identity(),
        ironic.environment(conductor.root),
        ready=lambda: _serves(conductor),
        ready_s=TIMEOUT_S,
        namespace=namespace(conductor.number),
    )


def _serves(conductor: ironic.Conductor) -> bool:
    """Say whether a conductor listens: what Ironic holds alive may not."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((conductor.address, RPC_PORT)) == 0

    return (
        network.call(listens)
        and conductor.address in ironic.living_conductors()
    )


def _password(path: pathlib.Path) -> str:
    if not path.exists():
        whole_file.write(path, secrets.token_hex(16))
    return path.read_text()
