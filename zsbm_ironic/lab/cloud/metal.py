# SPDX-License-Identifier: Apache-2.0
"""The servers of the cloud: the lab's Ironic, known to Keystone.

Of this package's own environment: what is deployed by it is what is tested.
"""

import dataclasses
import pathlib

from zsbm_ironic.lab import daemon, ironic, layout
from zsbm_ironic.lab.cloud import api, fabric, world

NAME = 'ironic'
DATABASES = ('ironic',)
OWN = (layout.IRONIC_UID, layout.SHARED_GID)


def settings(site: api.Site) -> ironic.Settings:
    """Return the options that the lab's Ironic has in a cloud."""
    account = site.account(NAME)
    # The client of memcached is not in this environment.
    checks = site.checks_tokens(NAME)
    del checks['memcached_servers']
    return {
        'DEFAULT': {
            'auth_strategy': 'keystone',
            'enabled_network_interfaces': 'noop,flat,neutron,'
            'zsbm-flat,zsbm-vpc',
        },
        # The ramdisk and the services are on different networks.
        'api': {'host_ip': '0.0.0.0'},  # noqa: S104
        'database': site.database('ironic'),
        # A ramdisk that stays on has no network: each purpose has its own.
        'deploy': {'fast_track': 'false'},
        'dhcp': {'dhcp_provider': 'neutron' if site.neutron_dhcp else 'zsbm'},
        'glance': account,
        'keystone_authtoken': checks,
        'neutron': {
            **account,
            **{
                f'{what}_network': world.PROVISIONING
                for what in (
                    'cleaning',
                    'inspection',
                    'provisioning',
                    'rescuing',
                    'servicing',
                )
            },
        },
        'nova': {**account, 'send_power_notifications': 'true'},
        'service_catalog': {
            **account,
            # What the ramdisk is told, and nobody else.
            'endpoint_override': f'http://{layout.CONDUCTOR_ADDRESSES[0]}:'
            f'{layout.API_PORT}',
        },
        'zsbm_network': {
            'switch_known_hosts': str(fabric.known_hosts(_switch(site))),
            'switch_settings': str(_switches(site)),
        },
    }


def prepare(site: api.Site) -> None:
    """Write how Ironic asks the switch; idempotent."""
    ironic.write_config(
        _switches(site),
        fabric.switch_settings(_switch(site), fabric.READER),
        OWN,
    )


def _switches(site: api.Site) -> pathlib.Path:
    return _switch(site).root / 'switches.ini'


def _switch(site: api.Site) -> fabric.OpenVSwitch:
    return fabric.switch(site.state / 'cloud')


def process_of(conductor: ironic.Conductor) -> daemon.Daemon:
    """Return the process that is API and conductor in one."""
    return dataclasses.replace(
        ironic.single_process(conductor), ready=ironic.api_listens
    )
