# SPDX-License-Identifier: Apache-2.0
"""Networks of VMs and of servers: Neutron with OVN and a real switch.

ML2 with four drivers: OVN for VMs, networking-baremetal for servers, the
switch by networking-generic-switch.
"""

import pathlib

from zsbm_ironic.lab import daemon, ironic, layout
from zsbm_ironic.lab.cloud import api, fabric, placement, store

NAME = 'neutron'
DATABASES = ('neutron',)
PORT = 9696
VLANS = (200, 299)


def prepare(site: api.Site) -> None:
    """Write its options; idempotent."""
    root = api.make_folder(site, NAME, 'state', 'lock')
    ironic.write_config(root / 'neutron.conf', _common(site), api.OWN)
    ironic.write_config(root / 'ml2_conf.ini', _ml2(site), api.OWN)


def _common(site: api.Site) -> ironic.Settings:
    root = site.folder(NAME)
    return {
        'DEFAULT': {
            'api_paste_config': site.programs.shipped('neutron/api-paste.ini'),
            'core_plugin': 'ml2',
            # Which driver bound a port, or why none did.
            'default_log_levels': 'neutron.plugins.ml2=DEBUG,amqp=WARN',
            'host': 'controller',
            'rpc_workers': '1',
            'rpc_state_report_workers': '0',
            'service_plugins': 'ovn-router,trunk,segments',
            'state_path': f'{root}/state',
            'transport_url': store.broker_url(site.passwords['broker']),
        },
        'database': site.database('neutron'),
        'keystone_authtoken': site.checks_tokens(NAME),
        'nova': site.account('nova'),
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'placement': site.account(placement.NAME),
    }


def _ml2(site: api.Site) -> ironic.Settings:
    tor = fabric.switch(site.state / 'cloud')
    first, last = VLANS
    physical = fabric.PHYSICAL_NETWORK
    where = f'tcp:{layout.CONTROLLER}'
    return {
        'ml2': {
            'extension_drivers': 'port_security',
            # Without baremetal-l2vni: when the last port of a server leaves a
            # VLAN network, 8.1.0 takes the segment of the network away, one
            # that an operator made as well (delete_port_postcommit).
            'mechanism_drivers': 'ovn,genericswitch,baremetal',
            'tenant_network_types': 'vlan,geneve',
            'type_drivers': 'flat,vlan,geneve,vxlan',
        },
        'ml2_type_flat': {'flat_networks': physical},
        'ml2_type_geneve': {'max_header_size': '38', 'vni_ranges': '1:999'},
        'ml2_type_vlan': {'network_vlan_ranges': f'{physical}:{first}:{last}'},
        'ml2_type_vxlan': {'vni_ranges': '1001:1999'},
        f'genericswitch:{fabric.SWITCH}': {
            'device_type': 'netmiko_ovs_linux',
            'ip': '127.0.0.1',
            'key_file': str(tor.root / 'ssh' / 'login'),
            'ngs_ovs_bridge': fabric.BRIDGE,
            'ngs_physical_networks': physical,
            'port': str(fabric.SWITCH_PORT),
            'use_keys': 'true',
            'username': 'root',
        },
        'ovn': {
            'ovn_metadata_enabled': 'true',
            'ovn_nb_connection': f'{where}:{fabric.NORTH_PORT}',
            'ovn_sb_connection': f'{where}:{fabric.SOUTH_PORT}',
        },
        'securitygroup': {'enable_security_group': 'true'},
    }


def make_tables(site: api.Site) -> None:
    """Make its tables; idempotent."""
    site.run(
        site.programs.program('neutron-db-manage'),
        *_options(site),
        *('upgrade', 'heads'),
        service=NAME,
    )


def daemons(site: api.Site) -> list[daemon.Daemon]:
    """Return its processes."""
    where = {
        'OS_NEUTRON_CONFIG_DIR': str(site.folder(NAME)),
        'OS_NEUTRON_CONFIG_FILES': 'neutron.conf;ml2_conf.ini',
    }
    return [
        api.served(site, NAME, 'neutron.wsgi.api', PORT, more=where),
        *(
            daemon.Daemon(
                name,
                (site.programs.program(name), *_options(site)),
                api.identity(),
                api.variables(site, NAME),
            )
            for name in (
                'neutron-rpc-server',
                'neutron-ovn-maintenance-worker',
            )
        ),
    ]


def _options(site: api.Site) -> list[str]:
    root: pathlib.Path = site.folder(NAME)
    return [
        word
        for name in ('neutron.conf', 'ml2_conf.ini')
        for word in ('--config-file', str(root / name))
    ]
