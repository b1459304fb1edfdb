# SPDX-License-Identifier: Apache-2.0
"""What there is of each resource, and who has it: Placement."""

from zsbm_ironic.lab import daemon, ironic
from zsbm_ironic.lab.cloud import api

NAME = 'placement'
DATABASES = ('placement',)
PORT = 8778


def prepare(site: api.Site) -> None:
    """Write its options; idempotent."""
    root = api.make_folder(site, NAME)
    options: ironic.Settings = {
        'api': {'auth_strategy': 'keystone'},
        'keystone_authtoken': site.checks_tokens(NAME),
        'placement_database': site.database('placement'),
    }
    ironic.write_config(root / 'placement.conf', options, api.OWN)


def make_tables(site: api.Site) -> None:
    """Make its tables; idempotent."""
    site.run(
        site.programs.program('placement-manage'),
        *('--config-file', f'{site.folder(NAME)}/placement.conf'),
        *('db', 'sync'),
        service=NAME,
    )


def daemons(site: api.Site) -> list[daemon.Daemon]:
    """Return its processes."""
    where = {'OS_PLACEMENT_CONFIG_DIR': str(site.folder(NAME))}
    return [api.served(site, NAME, 'placement.wsgi.api', PORT, more=where)]
