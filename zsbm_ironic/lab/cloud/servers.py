# SPDX-License-Identifier: Apache-2.0
"""Machines of the lab as servers of its cloud, by the cloud's own APIs.

For tests and for whoever plays an operator: enrols a machine with its place
on the switch, and brings it to where Nova finds it.
"""

from typing import Any

import openstack
from openstack import exceptions, utils

from zsbm_ironic.lab import machines
from zsbm_ironic.lab.cloud import fabric, world

STATE_S = 1500
# nova-compute tells Placement in its own time.
OFFERED_S = 120


def make_available(
    cloud: openstack.connection.Connection,
    machine: machines.Declaration,
    fingerprint: str | None,
) -> str:
    """Bring a machine to `available`, from where it is; return its UUID.

    :param cloud: of an operator, see `world.connect`.
    :param fingerprint: of the BMC's certificate; None where it has none.
    """
    make_manageable(cloud, machine, fingerprint)
    node = cloud.baremetal.find_node(machine.name)
    for state, verb in (
        ('inspect failed', 'manage'),
        ('clean failed', 'manage'),
        ('manageable', 'inspect'),
    ):
        if node.provision_state == state:
            node = go(cloud, node.id, verb)
    if node.provision_state == 'manageable':
        node = go(cloud, node.id, 'provide')
    cloud.baremetal.wait_for_nodes_provision_state(
        [node.id], 'available', timeout=STATE_S
    )
    return str(node.id)


def wait_until_offered(
    cloud: openstack.connection.Connection, uuid: str
) -> None:
    """Return once Nova would give away a server that is available.

    :param cloud: of an administrator with a project, see `world.connect`.
    :param uuid: of its node.
    :raises ResourceTimeout: Placement does not know it as free.
    """
    for _ in utils.iterate_timeout(
        OFFERED_S, f'Placement does not offer {uuid}', wait=1
    ):
        try:
            found = list(cloud.placement.resource_provider_inventories(uuid))
        except exceptions.NotFoundException:
            continue
        if any(
            one.resource_class == world.RESOURCE and one.reserved < one.total
            for one in found
        ):
            return


def make_manageable(
    cloud: openstack.connection.Connection,
    machine: machines.Declaration,
    fingerprint: str | None,
) -> str:
    """Enrol a machine and have its BMC checked; return its UUID.

    One that is further already stays where it is.
    """
    node = cloud.baremetal.find_node(machine.name)
    if node is None:
        node = _enrol(cloud, machine, fingerprint)
    if node.provision_state == 'enroll':
        go(cloud, node.id, 'manage')
    return str(node.id)


def link_of(tap: str) -> dict[str, str]:
    """Return where a machine is plugged in, as Ironic is told it."""
    return {
        'port_id': tap,
        'switch_id': fabric.SWITCH_ID,
        'switch_info': fabric.SWITCH,
    }


def go(
    cloud: openstack.connection.Connection, uuid: str, verb: str
) -> openstack.baremetal.v1.node.Node:
    return cloud.baremetal.set_node_provision_state(
        uuid, verb, wait=True, timeout=STATE_S
    )


def enrol(
    cloud: openstack.connection.Connection,
    machine: machines.Declaration,
    **node: Any,
) -> openstack.baremetal.v1.node.Node:
    """Make a node of a machine, with each of its cables.

    :param node: what else it has: driver, driver_info, interfaces.
    """
    made = cloud.baremetal.create_node(
        name=machine.name, resource_class=world.RESOURCE_CLASS, **node
    )
    for nic in machine.nics:
        cloud.baremetal.create_port(
            node_id=made.id,
            address=nic.mac,
            physical_network=fabric.PHYSICAL_NETWORK,
            local_link_connection=link_of(nic.tap),
        )
    return made


def _enrol(
    cloud: openstack.connection.Connection,
    machine: machines.Declaration,
    fingerprint: str | None,
) -> openstack.baremetal.v1.node.Node:
    info = {
        'bmc_address': machine.bmc_address,
        'bmc_password': machine.bmc_password,
        'bmc_username': machines.BMC_USERNAME,
    }
    if fingerprint:
        info['bmc_cert_fingerprint'] = fingerprint
    return enrol(
        cloud,
        machine,
        driver='zsbm',
        driver_info=info,
        network_interface='zsbm-vpc',
    )
