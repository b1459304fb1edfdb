# SPDX-License-Identifier: Apache-2.0
"""What services keep things in, and talk to each other by.

MariaDB with a database for each; RabbitMQ for Nova and Neutron; memcached for
tokens. Nothing here needs the disk to be safe: a lab that dies is made anew.
"""

import pathlib
from collections.abc import Iterable, Mapping

from zsbm_ironic.common import process
from zsbm_ironic.lab import cluster, daemon, ironic, layout, network

BROKER_PORT = 5672
CACHE_PORT = 11211
ACCOUNT = 'cloud'
TIMEOUT_S = 120
_BROKER = '/usr/lib/rabbitmq/bin'
_NODE = 'zsbm@localhost'
_ACCOUNT_SQL = (
    "CREATE OR REPLACE USER '{name}'@'%' IDENTIFIED BY '{password}';"
)
_DATABASE_SQL = """\
CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4;
GRANT ALL ON {database}.* TO '{name}'@'%';
"""


def make_databases(
    state: pathlib.Path, wanted: Mapping[str, Iterable[str]], password: str
) -> None:
    """Make an account for each service, with its databases; idempotent.

    :param wanted: databases by service.
    """
    lines = []
    for name, databases in wanted.items():
        lines.append(_ACCOUNT_SQL.format(name=name, password=password))
        lines += [
            _DATABASE_SQL.format(name=name, database=one) for one in databases
        ]
    _as_root(state, 'mariadb', stdin='\n'.join(lines))


def dump(state: pathlib.Path, database: str) -> str:
    """Return the statements that make a database as it is now."""
    return _as_root(
        state,
        'mariadb-dump',
        *('--single-transaction', '--skip-comments', '--skip-dump-date'),
        database,
    )


def load(state: pathlib.Path, database: str, statements: str) -> None:
    """Fill a database with what `dump` returned; idempotent."""
    _as_root(state, 'mariadb', database, stdin=statements)


def _as_root(
    state: pathlib.Path, program: str, *words: str, stdin: str | None = None
) -> str:
    return process.run(
        [program, '--no-defaults', '-uroot']
        + [f'--socket={state}/database/socket', *words],
        timeout_s=TIMEOUT_S,
        stdin=stdin,
    ).stdout


def database_url(service: str, database: str, password: str) -> str:
    """Return what a service connects to."""
    where = f'{layout.CONTROLLER}:{cluster.DATABASE_PORT}'
    return (
        f'mysql+pymysql://{service}:{password}@{where}/{database}'
        '?charset=utf8mb4'
    )


def broker_url(password: str) -> str:
    """Return what Nova and Neutron send their messages to."""
    where = f'{layout.CONTROLLER}:{BROKER_PORT}'
    return f'rabbit://{ACCOUNT}:{password}@{where}/'


def cache_address() -> str:
    """Return where tokens are kept that were checked."""
    return f'{layout.CONTROLLER}:{CACHE_PORT}'


def daemons(state: pathlib.Path) -> list[daemon.Daemon]:
    """Return broker and cache, with their folders made; idempotent."""
    root = state / 'broker'
    own = (layout.CLOUD_UID, layout.SHARED_GID)
    for name in ('', 'data', 'log'):
        ironic.folder(root / name, own, 0o750)
    (root / 'rabbitmq.conf').write_text(
        f'listeners.tcp.1 = {layout.CONTROLLER}:{BROKER_PORT}\n'
        'distribution.listener.interface = 127.0.0.1\n'
        'loopback_users = none\n'
        'log.console = true\nlog.file = false\nlog.console.level = warning\n'
        'disk_free_limit.absolute = 50MB\n'
    )
    (root / 'plugins').write_text('[].\n')
    who = daemon.Identity(*own)
    environment = {
        'HOME': str(root),
        'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
        'ERL_EPMD_ADDRESS': '127.0.0.1',
        'RABBITMQ_CONFIG_FILE': str(root / 'rabbitmq.conf'),
        'RABBITMQ_CONF_ENV_FILE': '/dev/null',
        'RABBITMQ_ENABLED_PLUGINS_FILE': str(root / 'plugins'),
        'RABBITMQ_LOG_BASE': str(root / 'log'),
        'RABBITMQ_MNESIA_BASE': str(root / 'data'),
        'RABBITMQ_NODENAME': _NODE,
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 1:1 +sbwt none',
    }
    return [
        daemon.Daemon(
            'memcached',
            (
                *('memcached', '-l', layout.CONTROLLER),
                *('-p', str(CACHE_PORT), '-U', '0', '-m', '64', '-t', '1'),
            ),
            who,
            {'PATH': '/usr/bin'},
        ),
        daemon.Daemon(
            'epmd',
            ('epmd', '-address', '127.0.0.1'),
            who,
            environment,
        ),
        daemon.Daemon(
            'rabbitmq',
            (f'{_BROKER}/rabbitmq-server',),
            who,
            environment,
            ready=lambda: network.listens(layout.CONTROLLER, BROKER_PORT),
            ready_s=TIMEOUT_S,
        ),
    ]


def make_account(state: pathlib.Path, password: str) -> None:
    """Make the account of the broker; idempotent."""
    root = state / 'broker'
    who = daemon.Identity(layout.CLOUD_UID, layout.SHARED_GID)

    def ask(*words: str, stdin: str | None = None, check: bool = True) -> int:
        done = process.run(
            [*network.nsenter(), *who.argv(), f'{_BROKER}/rabbitmqctl']
            + ['-q', '-n', _NODE, *words],
            timeout_s=TIMEOUT_S,
            stdin=stdin,
            check=check,
            env={'HOME': str(root), 'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'},
        )
        return done.returncode

    if ask('authenticate_user', ACCOUNT, stdin=password, check=False):
        ask('delete_user', ACCOUNT, check=False)
        ask('add_user', ACCOUNT, stdin=password)
    ask('set_permissions', ACCOUNT, '.*', '.*', '.*')
