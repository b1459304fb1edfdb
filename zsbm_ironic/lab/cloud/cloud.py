# SPDX-License-Identifier: Apache-2.0
"""Brings a cloud up, in the order in which one service needs another."""

import functools
import pathlib
from collections.abc import Callable, Sequence

from zsbm_ironic.common import artifacts, progress
from zsbm_ironic.lab import cluster, daemon, layout, network, relay
from zsbm_ironic.lab.cloud import (
    api,
    environment,
    fabric,
    glance,
    golden,
    horizon,
    hypervisor,
    keystone,
    metal,
    neutron,
    node_agent,
    nova,
    passwords,
    placement,
    store,
    world,
)

# Each has prepare, make_tables and daemons.
ROOMS = (keystone, placement, glance, neutron, nova)

Start = Callable[[daemon.Daemon], None]


def site_of(
    state: pathlib.Path,
    cache: artifacts.Artifacts,
    *,
    overlay: bool = False,
    neutron_dhcp: bool = False,
) -> api.Site:
    """Return what all services know, installed and with passwords.

    :param overlay: see `api.Site`, as for the other.
    """
    root = state / 'cloud'
    root.mkdir(parents=True, exist_ok=True)
    return api.Site(
        state,
        environment.build(cache),
        passwords.load(root / 'passwords.json', world.PASSWORDS),
        overlay,
        neutron_dhcp,
    )


def up(
    site: api.Site,
    cache: artifacts.Artifacts,
    start: Start,
    report: progress.Progress,
    taps: Sequence[str],
) -> None:
    """Start all that Ironic needs; what runs already stays.

    :param cache: where tables are kept that were made once.
    :param taps: network devices of the machines.
    """
    network.add_bridge(layout.MANAGEMENT_BRIDGE, f'{layout.CONTROLLER}/24')
    start(cluster.database(site.state, layout.CONTROLLER))
    for one in store.daemons(site.state):
        start(one)
    with report.step('accounts of database and broker'):
        store.make_databases(
            site.state,
            {room.NAME: room.DATABASES for room in (*ROOMS, metal)},
            site.passwords['database'],
        )
        store.make_account(site.state, site.passwords['broker'])
    for room in ROOMS:
        room.prepare(site)
        made = site.folder(room.NAME) / 'tables-made'
        if not made.exists():
            golden.make(
                site,
                cache,
                room.NAME,
                room.DATABASES,
                functools.partial(room.make_tables, site),
            )
            if room is keystone:
                with report.step('keystone: first account'):
                    keystone.make_first_account(site)
            made.touch()
    _up_fabric(site, start, report, taps)
    for one in keystone.daemons(site):
        start(one)
    with report.step('accounts'):
        world.write_clouds(site)
        world.make_accounts(site)
    for room in ROOMS[1:]:
        for one in room.daemons(site):
            start(one)
    with report.step('networks'):
        world.make_networks(site)


def _up_fabric(
    site: api.Site,
    start: Start,
    report: progress.Progress,
    taps: Sequence[str],
) -> None:
    root = site.state / 'cloud'
    for one in fabric.central(root / 'ovn'):
        start(one)
    tor, gateway = fabric.switch(root), fabric.gateway(root)
    for host in (gateway, site.vm_host):
        network.create_branch(
            host.namespace,
            f'{host.address}/24',
            bridge=layout.MANAGEMENT_BRIDGE,
            inner='mgmt',
        )
    fabric.name_ports(taps)
    for switch in (tor, gateway, site.vm_host):
        for one in switch.daemons():
            start(one)
    with report.step('cables'):
        fabric.wire_switch(tor, taps)
        fabric.wire_host(
            gateway,
            tor,
            'ovn-cms-options=enable-chassis-as-gw',
        )
        fabric.wire_host(site.vm_host, tor)
    with report.step('router'):
        relay.connect_near()
        fabric.join(
            tor,
            relay.NAMESPACE,
            fabric.FLAT_VLAN,
            f'{relay.FAR_ADDRESS}/24',
            outer='router-tor',
            inner='eth1',
        )
    start(relay.service())
    for host in (gateway, site.vm_host):
        start(fabric.controller(host))
    start(
        fabric.switch_login(
            tor, {fabric.WRITER: api.OWN, fabric.READER: metal.OWN}
        )
    )


def up_computes(
    site: api.Site,
    start: Start,
    report: progress.Progress,
    *,
    image: pathlib.Path,
    public_key: pathlib.Path,
) -> None:
    """Start what works on servers, once Ironic answers.

    :param image: qcow2 that members choose.
    :param public_key: that they log in with.
    """
    for one in hypervisor.daemons(site.vm_host):
        start(one)
    with report.step('ironic answers'):
        world.wait_for_ironic(site)
    for one in (node_agent.prepared(site), *nova.computes(site)):
        start(one)
    with report.step('host of VMs is known'):
        world.wait_for_vm_host(site)
    with report.step('flavours and images'):
        world.make_offer(site, image, public_key)
    horizon.prepare(site)
    with report.step('dashboard'):
        horizon.collect(site)
    for one in horizon.daemons(site):
        start(one)
