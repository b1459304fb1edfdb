# SPDX-License-Identifier: Apache-2.0
"""Networks of VMs and of servers: Neutron with OVN and a real switch.

ML2 with three drivers: OVN for VMs, networking-baremetal for servers, the
switch by networking-generic-switch. An agent on the host of VMs passes on what
they ask of 169.254.169.254.
"""

import pathlib
import signal

from zsbm_ironic.lab import daemon, ironic, layout
from zsbm_ironic.lab.cloud import (
    api,
    fabric,
    node_agent,
    nova,
    own_folders,
    placement,
    store,
)

NAME = 'neutron'
DATABASES = ('neutron',)
PORT = 9696
LEASE_S = 120


# baremetal-l2vni takes the segment of a VLAN network away when the last port
# of a server leaves it, of one that an operator made as well (8.1.0,
# delete_port_postcommit): `world` keeps a port there.
_OVERLAY = {
    'mechanism_drivers': 'ovn,baremetal-l2vni,genericswitch,baremetal',
    'tenant_network_types': 'geneve',
}
_VLAN = {
    'mechanism_drivers': 'ovn,genericswitch,baremetal',
    'tenant_network_types': 'vlan,geneve',
}


def prepare(site: api.Site) -> None:
    """Write its options; idempotent."""
    root = api.make_folder(site, NAME, 'state', 'lock')
    ironic.write_config(root / 'neutron.conf', _common(site), api.OWN)
    ironic.write_config(root / 'ml2_conf.ini', _ml2(site), api.OWN)
    agent = _agent_folder(site)
    for name in ('', 'state', 'lock'):
        ironic.folder(agent / name, (0, 0), 0o700)
    ironic.write_config(agent / 'ovn_agent.ini', agent_settings(site), (0, 0))


def _common(site: api.Site) -> ironic.Settings:
    root = site.folder(NAME)
    return {
        'DEFAULT': {
            'agent_down_time': str(node_agent.DOWN_S),
            'api_paste_config': site.programs.shipped('neutron/api-paste.ini'),
            'core_plugin': 'ml2',
            # Which driver bound a port, or why none did.
            'default_log_levels': 'neutron.plugins.ml2=DEBUG,amqp=WARN',
            'host': 'controller',
            'rpc_workers': '1',
            'rpc_state_report_workers': '0',
            'service_plugins': 'network_segment_range,ovn-router,'
            'segments,trunk',
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
    vlans = fabric.TENANT_VLANS
    physical = fabric.PHYSICAL_NETWORK
    where = f'tcp:{layout.CONTROLLER}'
    return {
        'ml2': {
            # Names of servers are known to the DNS that OVN answers.
            'extension_drivers': 'port_security,dns',
            **(_OVERLAY if site.overlay else _VLAN),
            'type_drivers': 'flat,vlan,geneve,vxlan',
        },
        'ml2_type_flat': {'flat_networks': physical},
        'ml2_type_geneve': {'max_header_size': '38', 'vni_ranges': '1:999'},
        'ml2_type_vlan': {
            'network_vlan_ranges': f'{physical}:{vlans[0]}:{vlans[-1]}'
        },
        'ml2_type_vxlan': {'vni_ranges': '1001:1999'},
        **fabric.switch_settings(tor, fabric.WRITER),
        'ovn': {
            # An OS that was moved asks anew after half of it.
            'dhcp_default_lease_time': str(LEASE_S),
            'ovn_metadata_enabled': 'true',
            'ovn_nb_connection': f'{where}:{fabric.NORTH_PORT}',
            'ovn_sb_connection': f'{where}:{fabric.SOUTH_PORT}',
        },
        'securitygroup': {'enable_security_group': 'true'},
    }


def agent_settings(site: api.Site) -> ironic.Settings:
    """Return the options of the agent on the host of VMs."""
    root = _agent_folder(site)
    return {
        'DEFAULT': {
            'host': site.vm_host.name,
            'metadata_proxy_shared_secret': site.passwords['metadata'],
            'nova_metadata_host': layout.CONTROLLER,
            'nova_metadata_port': str(nova.METADATA_PORT),
            'state_path': f'{root}/state',
        },
        # It is root: what it starts as root needs no helper.
        'agent': {'extensions': 'metadata', 'root_helper': 'env'},
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'ovn': {
            'ovn_sb_connection': f'tcp:{layout.CONTROLLER}:{fabric.SOUTH_PORT}'
        },
        'ovs': {'ovsdb_connection': fabric.DATABASE},
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
        _agent(site),
    ]


def _agent(site: api.Site) -> daemon.Daemon:
    """Return the agent on the host of VMs.

    It makes a network namespace and an haproxy for each network, and leaves
    them behind: here they are its own, and end with it.
    """
    host = site.vm_host
    root = _agent_folder(site)
    words = [
        site.programs.program('neutron-ovn-agent'),
        *('--config-file', str(root / 'ovn_agent.ini')),
    ]
    return daemon.Daemon(
        'neutron-ovn-agent',
        own_folders.argv(words, own={}, empty=['/run/netns'], alone=True),
        env={
            **host.environment,
            **api.variables(site, NAME),
            'HOME': str(root),
        },
        namespace=host.namespace,
        stop_signal=signal.SIGKILL,
    )


def _agent_folder(site: api.Site) -> pathlib.Path:
    return site.vm_host.root / NAME


def _options(site: api.Site) -> list[str]:
    root: pathlib.Path = site.folder(NAME)
    return [
        word
        for name in ('neutron.conf', 'ml2_conf.ini')
        for word in ('--config-file', str(root / name))
    ]
