# SPDX-License-Identifier: Apache-2.0
"""Images of VMs and of servers: Glance, with files of its own."""

from zsbm_ironic.lab import daemon, ironic
from zsbm_ironic.lab.cloud import api

NAME = 'glance'
DATABASES = ('glance',)
PORT = 9292


def prepare(site: api.Site) -> None:
    """Write its options; idempotent."""
    root = api.make_folder(site, NAME, 'images', 'staging', 'tasks', 'lock')
    options: ironic.Settings = {
        'DEFAULT': {
            'enabled_backends': 'files:file',
            'node_staging_uri': f'file://{root}/staging',
            'state_path': str(root),
            'worker_self_reference_url': api.url(PORT),
        },
        'database': site.database('glance'),
        'files': {'filesystem_store_datadir': f'{root}/images'},
        'glance_store': {'default_backend': 'files'},
        'keystone_authtoken': site.checks_tokens(NAME),
        'os_glance_staging_store': {
            'filesystem_store_datadir': f'{root}/staging'
        },
        'os_glance_tasks_store': {'filesystem_store_datadir': f'{root}/tasks'},
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'paste_deploy': {
            'config_file': site.programs.shipped(
                'glance/glance-api-paste.ini'
            ),
            'flavor': 'keystone',
        },
    }
    ironic.write_config(root / 'glance-api.conf', options, api.OWN)


def make_tables(site: api.Site) -> None:
    """Make its tables; idempotent."""
    site.run(
        site.programs.program('glance-manage'),
        *('--config-file', f'{site.folder(NAME)}/glance-api.conf'),
        *('db', 'sync'),
        service=NAME,
    )


def daemons(site: api.Site) -> list[daemon.Daemon]:
    """Return its processes."""
    where = {
        'OS_GLANCE_CONFIG_DIR': str(site.folder(NAME)),
        'OS_GLANCE_CONFIG_FILES': 'glance-api.conf',
    }
    return [api.served(site, NAME, 'glance.wsgi.api', PORT, more=where)]
