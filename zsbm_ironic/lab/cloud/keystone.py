# SPDX-License-Identifier: Apache-2.0
"""Who may do what: Keystone."""

import pathlib

from zsbm_ironic.common import process
from zsbm_ironic.lab import daemon, ironic, network
from zsbm_ironic.lab.cloud import api, store

NAME = 'keystone'
DATABASES = ('keystone',)


def prepare(site: api.Site) -> None:
    """Write its options; idempotent."""
    root = api.make_folder(
        site, NAME, 'fernet', 'credential', 'receipts', 'lock'
    )
    options: ironic.Settings = {
        'DEFAULT': {'max_token_size': '255'},
        'cache': {
            'enabled': 'true',
            'backend': 'dogpile.cache.pymemcache',
            'memcache_servers': store.cache_address(),
        },
        'credential': {'key_repository': f'{root}/credential'},
        'database': site.database('keystone'),
        'fernet_receipts': {'key_repository': f'{root}/receipts'},
        'fernet_tokens': {'key_repository': f'{root}/fernet'},
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'token': {'provider': 'fernet', 'expiration': '86400'},
    }
    ironic.write_config(_options(site), options, api.OWN)


def make_tables(site: api.Site) -> None:
    """Make its tables; idempotent."""
    _manage(site, 'db_sync')


def make_first_account(site: api.Site) -> None:
    """Make its keys and the account of the administrator; idempotent."""
    for keys in ('fernet_setup', 'receipt_setup', 'credential_setup'):
        _manage(site, keys)
    process.run(
        [*network.nsenter(), *api.identity().argv()]
        + [site.programs.program('keystone-manage')]
        + ['--config-file', str(_options(site)), 'bootstrap']
        + ['--bootstrap-region-id', api.REGION]
        + [
            word
            for kind in ('admin', 'internal', 'public')
            for word in (
                f'--bootstrap-{kind}-url',
                api.url(api.IDENTITY_PORT, '/v3'),
            )
        ],
        timeout_s=api.MIGRATION_S,
        env={
            **api.variables(site, NAME),
            'OS_BOOTSTRAP_PASSWORD': site.passwords['admin'],
        },
    )


def daemons(site: api.Site) -> list[daemon.Daemon]:
    """Return its processes."""
    return [
        api.served(
            site,
            NAME,
            'keystone.wsgi.api',
            api.IDENTITY_PORT,
            more={'OS_KEYSTONE_CONFIG_DIR': str(site.folder(NAME))},
        )
    ]


def _options(site: api.Site) -> pathlib.Path:
    return site.folder(NAME) / 'keystone.conf'


def _manage(site: api.Site, *words: str) -> None:
    site.run(
        site.programs.program('keystone-manage'),
        *('--config-file', str(_options(site)), *words),
        service=NAME,
    )
