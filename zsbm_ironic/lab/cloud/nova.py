# SPDX-License-Identifier: Apache-2.0
"""Servers for a member, virtual or not: Nova.

One nova-compute sees the servers of Ironic, the other is on the host of VMs.
"""

import pathlib

from zsbm_ironic.lab import bench, daemon, ironic, layout
from zsbm_ironic.lab.cloud import api, fabric, hypervisor, placement, store

NAME = 'nova'
DATABASES = ('nova_api', 'nova', 'nova_cell0')
PORT = 8774
METADATA_PORT = 8775
_LIKE_OURS = (
    '{{scheme}}://{{username}}:{{password}}@{{hostname}}:{{port}}/{path}'
)


def prepare(site: api.Site) -> None:
    """Write its options; idempotent."""
    root = api.make_folder(site, NAME, 'state', 'lock')
    ironic.write_config(root / 'nova.conf', _common(site), api.OWN)
    metal = ironic.merge(
        _common(site),
        {
            'DEFAULT': {
                'compute_driver': 'ironic.IronicDriver',
                'force_config_drive': 'true',
                'host': 'metal',
                'update_resources_interval': '10',
            },
            # All nodes are seen by who is not of a project.
            'ironic': {
                **site.system_account('ironic'),
                'api_max_retries': '60',
                'api_retry_interval': '1',
            },
        },
    )
    ironic.write_config(root / 'nova-metal.conf', metal, api.OWN)
    # QEMU goes through these to its disks.
    for name in ('', 'instances', 'lock'):
        ironic.folder(_vm_folder(site) / name, (0, 0), 0o755)
    accelerator, groups = bench.usable_accelerator(hypervisor.ARCH)
    hypervisor.prepare(site.vm_host, accelerator, groups)
    ironic.write_config(
        _vm_options(site), vm_settings(site, accelerator), (0, 0)
    )


def _common(site: api.Site) -> ironic.Settings:
    root = site.folder(NAME)
    account = site.account(NAME)
    return {
        'DEFAULT': {
            'my_ip': layout.CONTROLLER,
            'osapi_compute_workers': '1',
            'state_path': f'{root}/state',
            'transport_url': store.broker_url(site.passwords['broker']),
        },
        'api_database': site.database(NAME, 'nova_api'),
        'cache': {
            'backend': 'dogpile.cache.pymemcache',
            'enabled': 'true',
            'memcache_servers': store.cache_address(),
        },
        'conductor': {'workers': '1'},
        'database': site.database('nova'),
        'glance': account,
        'keystone_authtoken': site.checks_tokens(NAME),
        'neutron': {
            **account,
            'metadata_proxy_shared_secret': site.passwords['metadata'],
            'service_metadata_proxy': 'true',
        },
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'placement': site.account(placement.NAME),
        'scheduler': {'discover_hosts_in_cells_interval': '5', 'workers': '1'},
        'service_user': {**account, 'send_service_user_token': 'true'},
        'vnc': {'enabled': 'false'},
        'wsgi': {
            'api_paste_config': site.programs.shipped('nova/api-paste.ini')
        },
    }


def vm_settings(site: api.Site, accelerator: str) -> ironic.Settings:
    """Return the options of nova-compute on the host of VMs.

    :param accelerator: 'kvm' or 'tcg'.
    """
    host = site.vm_host
    root = _vm_folder(site)
    # It is root: what it starts with rights needs no sudo.
    helper: dict[str, str | list[str]] = {
        'helper_command': f'{site.programs.program("privsep-helper")} '
        f'--config-file {_vm_options(site)}'
    }
    common = _common(site)
    # A host of VMs has no business in the databases.
    del common['api_database'], common['database']
    return ironic.merge(
        common,
        {
            'DEFAULT': {
                'compute_driver': 'libvirt.LibvirtDriver',
                # The image asks no metadata service for its keys.
                'force_config_drive': 'true',
                'host': host.name,
                'my_ip': host.address,
                'state_path': str(root),
            },
            'libvirt': hypervisor.nova_settings(host, accelerator),
            'nova_sys_admin': helper,
            'oslo_concurrency': {'lock_path': f'{root}/lock'},
            'privsep_osbrick': helper,
            'vif_plug_ovs_privileged': helper,
            'os_vif_ovs': {'ovsdb_connection': fabric.DATABASE},
        },
    )


def make_tables(site: api.Site) -> None:
    """Make its tables and its cell; idempotent.

    Where the cell is reached is what its options say, filled in by Nova when
    it reads the tables: they have no password.
    """
    _manage(site, 'api_db', 'sync')
    _manage(
        *(site, 'cell_v2', 'map_cell0', '--database_connection'),
        _LIKE_OURS.format(path='nova_cell0') + '?{query}',
    )
    if ' cell1 ' not in _manage(site, 'cell_v2', 'list_cells'):
        here = _LIKE_OURS.format(path='{path}')
        _manage(
            *(site, 'cell_v2', 'create_cell', '--name', 'cell1'),
            *('--database_connection', here + '?{query}'),
            *('--transport-url', here),
        )
    _manage(site, 'db', 'sync')


def daemons(site: api.Site) -> list[daemon.Daemon]:
    """Return the processes that know no hypervisor."""
    paste = site.programs.shipped('nova/api-paste.ini')
    where = {
        'OS_NOVA_CONFIG_DIR': str(site.folder(NAME)),
        'OS_NOVA_CONFIG_FILES': f'{paste};nova.conf',
    }
    return [
        *(
            api.served(site, NAME, module, port, more=where, name=name)
            for name, module, port in (
                ('nova-api', 'nova.wsgi.osapi_compute', PORT),
                ('nova-metadata', 'nova.wsgi.metadata', METADATA_PORT),
            )
        ),
        _process(site, 'nova-conductor', 'nova-conductor', 'nova.conf'),
        _process(site, 'nova-scheduler', 'nova-scheduler', 'nova.conf'),
    ]


def computes(site: api.Site) -> list[daemon.Daemon]:
    """Return the processes that work on servers."""
    host = site.vm_host
    return [
        _process(
            site, 'nova-compute-metal', 'nova-compute', 'nova-metal.conf'
        ),
        # As root: its privileged half wants CAP_SYS_ADMIN, CAP_DAC_OVERRIDE
        # and CAP_CHOWN (nova.privsep), with which any user is root, and
        # libvirt gives whoever may start a domain the same.
        daemon.Daemon(
            'nova-compute-vm',
            (
                site.programs.program('nova-compute'),
                *('--config-file', str(_vm_options(site))),
            ),
            env={
                **host.environment,
                **api.variables(site, NAME),
                'HOME': str(_vm_folder(site)),
            },
            namespace=host.namespace,
        ),
    ]


def _vm_folder(site: api.Site) -> pathlib.Path:
    return site.vm_host.root / NAME


def _vm_options(site: api.Site) -> pathlib.Path:
    return _vm_folder(site) / 'nova.conf'


def _process(
    site: api.Site, name: str, program: str, options: str
) -> daemon.Daemon:
    return daemon.Daemon(
        name,
        (
            site.programs.program(program),
            *('--config-file', str(site.folder(NAME) / options)),
        ),
        api.identity(),
        api.variables(site, NAME),
    )


def _manage(site: api.Site, *words: str) -> str:
    return site.run(
        site.programs.program('nova-manage'),
        *('--config-file', f'{site.folder(NAME)}/nova.conf', *words),
        service=NAME,
    )
