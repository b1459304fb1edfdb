# SPDX-License-Identifier: Apache-2.0
"""What a fresh cloud has in it, made by its own APIs.

Each step looks first whether it was done: an interrupted one is taken up. The
networks that a member makes are in `vpc`.
"""

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import openstack

from zsbm_ironic.common import whole_file
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import layout, network
from zsbm_ironic.lab.cloud import (
    api,
    fabric,
    glance,
    horizon,
    hypervisor,
    neutron,
    nova,
    placement,
    vpc,
)

# Type, name and path of each service beside Keystone, with its port.
SERVICES = (
    ('image', 'glance', glance.PORT, ''),
    ('placement', 'placement', placement.PORT, ''),
    ('network', 'neutron', neutron.PORT, ''),
    ('compute', 'nova', nova.PORT, '/v2.1'),
    ('baremetal', 'ironic', layout.API_PORT, ''),
)
PROJECTS = ('demo', 'other')
IRONIC_S = 120
# Seconds of its first start: libvirt asks each QEMU of the machine what it
# can do.
VM_HOST_S = 300
ACCOUNTS = (*(name for _, name, _, _ in SERVICES), 'admin', *PROJECTS)
# Networks: what servers boot in, without a DHCP of Neutron; and what servers
# and VMs share, where routers of members find the world outside as well.
PROVISIONING = 'provisioning'
FLAT = 'flat'
FLAT_CIDR = layout.RELAYED_CIDR
PROVISIONING_POOL = ('198.51.100.150', '198.51.100.199')
# Of servers, and the flavour that asks for one of them. It asks for no VCPU,
# of which a host of VMs alone has any; that of VMs asks for nothing else.
RESOURCE_CLASS = 'baremetal'
# As Placement has it.
RESOURCE = f'CUSTOM_{RESOURCE_CLASS.upper()}'
METAL = 'metal'
SMALL = 'small'
IMAGE = 'debian'
# A virtio NIC leaves the checksum of TCP to a kernel, which a switch in user
# space is not. A server does not look at this.
NIC_MODEL = 'e1000'
PASSWORDS = (*ACCOUNTS, 'broker', 'database', 'metadata')


def write_clouds(site: api.Site) -> pathlib.Path:
    """Write clouds.yaml, for root alone: admin, system, and each project."""
    clouds = {'admin': _cloud(site, 'admin', 'admin')}
    clouds['system'] = _cloud(site, 'admin', None)
    for name in PROJECTS:
        clouds[name] = _cloud(site, name, name)
    path = _clouds_file(site.state)
    whole_file.write(
        path, json.dumps({'clouds': clouds}, indent=1), mode=0o600
    )
    return path


def _cloud(site: api.Site, user: str, project: str | None) -> dict[str, Any]:
    auth = {
        'auth_url': api.url(api.IDENTITY_PORT, '/v3'),
        'password': site.passwords[user],
        'user_domain_name': api.DOMAIN,
        'username': user,
    }
    if project:
        auth |= {'project_domain_name': api.DOMAIN, 'project_name': project}
    else:
        auth['system_scope'] = 'all'
    return {'auth': auth, 'region_name': api.REGION}


def describe(state: pathlib.Path) -> dict[str, Any] | None:
    """Return what a person or a script needs to use the cloud of a lab.

    :param state: folder of the lab.
    :returns: None: no cloud was made yet.
    """
    path = _clouds_file(state)
    if not path.exists():
        return None
    host = fabric.vm_host(state / 'cloud')
    return {
        'clouds_file': str(path),
        'dashboard': horizon.url(),
        'clouds': ['admin', 'system', *PROJECTS],
        'networks': [PROVISIONING, FLAT, *vpc.CIDRS],
        'flavors': [METAL, SMALL],
        'images': [IMAGE],
        'key_pairs': [PROJECTS[0]],
        'vm_host': {
            'name': host.name,
            'namespace': host.namespace,
            'libvirt_uri': hypervisor.uri(host),
        },
    }


def _clouds_file(state: pathlib.Path) -> pathlib.Path:
    return state / 'cloud' / 'clouds.yaml'


def connect(site: api.Site, name: str) -> openstack.connection.Connection:
    """Return a connection as one of `write_clouds`.

    To be used inside the namespace of the lab, see `network.call`.
    """
    return openstack.connection.Connection(
        config=openstack.config.OpenStackConfig(
            config_files=[str(_clouds_file(site.state))],
            load_envvars=False,
        ).get_one(cloud=name)
    )


def make_accounts(site: api.Site) -> None:
    """Make services, their accounts and the projects; idempotent."""
    network.call(lambda: _make_accounts(site, connect(site, 'admin')))


def _make_accounts(
    site: api.Site, cloud: openstack.connection.Connection
) -> None:
    identity = cloud.identity
    roles = {role.name: role for role in identity.roles()}
    projects = {one.name: one for one in identity.projects()}
    users = {one.name: one for one in identity.users()}
    for name in ('service', *PROJECTS):
        if name not in projects:
            projects[name] = identity.create_project(
                name=name, domain_id='default'
            )
    if 'service' not in roles:
        roles['service'] = identity.create_role(name='service')
    for name in (*(one for _, one, _, _ in SERVICES), *PROJECTS):
        if name not in users:
            users[name] = identity.create_user(
                name=name, password=site.passwords[name], domain_id='default'
            )
    for _, name, _, _ in SERVICES:
        for role in ('admin', 'service'):
            identity.assign_project_role_to_user(
                projects['service'], users[name], roles[role]
            )
    for name in PROJECTS:
        identity.assign_project_role_to_user(
            projects[name], users[name], roles['member']
        )
    identity.assign_system_role_to_user(users['admin'], roles['admin'], 'all')
    identity.assign_system_role_to_user(users['ironic'], roles['admin'], 'all')
    services = {one.name: one for one in identity.services()}
    served = {(one.service_id, one.interface) for one in identity.endpoints()}
    for kind, name, port, path in SERVICES:
        service = services.get(name) or identity.create_service(
            type=kind, name=name
        )
        for interface in ('public', 'internal', 'admin'):
            if (service.id, interface) in served:
                continue
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                url=api.url(port, path),
                region_id=api.REGION,
            )


def wait_for_ironic(site: api.Site) -> None:
    """Return once a conductor serves our hardware type.

    :raises LabProcessFailed: none does in time.
    """

    def drivers() -> list[str]:
        cloud = connect(site, 'system')
        return [one.name for one in cloud.baremetal.drivers()]

    _wait('ironic', lambda: 'zsbm' in drivers(), 'no conductor', IRONIC_S)


def wait_for_vm_host(site: api.Site) -> None:
    """Return once Nova puts VMs on their host.

    :raises LabProcessFailed: it does not in time.
    """
    name = site.vm_host.name

    def hosts() -> list[str]:
        cloud = connect(site, 'admin')
        found = cloud.compute.hypervisors(details=True)
        return [one.service_details['host'] for one in found]

    _wait('nova-compute-vm', lambda: name in hosts(), 'not in Nova', VM_HOST_S)


def _wait(
    name: str, question: Callable[[], bool], why: str, limit_s: float
) -> None:
    deadline = time.monotonic() + limit_s
    while not network.call(question):
        if time.monotonic() > deadline:
            raise lab_exception.LabProcessFailed(
                name=name, why=f'{why} in {limit_s} s', log='its log', tail=''
            )
        time.sleep(1)


def make_networks(site: api.Site) -> None:
    """Make the networks of the operator and of members; idempotent."""

    def make() -> None:
        _make_networks(connect(site, 'admin'), leased=site.neutron_dhcp)
        if site.overlay:
            _keep_segment(connect(site, 'admin'), PROVISIONING)
        vpc.make(connect(site, PROJECTS[0]), outside=FLAT, near=FLAT_CIDR)

    network.call(make)


def _make_networks(
    cloud: openstack.connection.Connection, *, leased: bool
) -> None:
    """Make the networks of the operator.

    :param leased: Neutron's DHCP serves servers that boot their ramdisk.
    """
    networks = {one.name: one for one in cloud.network.networks()}
    subnets = {one.name for one in cloud.network.subnets()}
    physical = {
        'provider_physical_network': fabric.PHYSICAL_NETWORK,
        'is_shared': False,
    }
    provisioning = networks.get(PROVISIONING) or cloud.network.create_network(
        name=PROVISIONING,
        provider_network_type='vlan',
        provider_segmentation_id=fabric.PROVISIONING_VLAN,
        **physical,
    )
    if PROVISIONING not in subnets:
        first, last = PROVISIONING_POOL
        cloud.network.create_subnet(
            network_id=provisioning.id,
            name=PROVISIONING,
            ip_version=4,
            cidr=layout.PROVISIONING_CIDR,
            gateway_ip=None,
            is_dhcp_enabled=leased,
            allocation_pools=[{'start': first, 'end': last}],
        )
    flat = networks.get(FLAT) or cloud.network.create_network(
        name=FLAT,
        provider_network_type='flat',
        is_router_external=True,
        **{**physical, 'is_shared': True},
    )
    if not flat.is_router_external:
        cloud.network.update_network(flat, is_router_external=True)
    if FLAT not in subnets:
        first, last = vpc.pool(FLAT_CIDR)
        cloud.network.create_subnet(
            network_id=flat.id,
            name=FLAT,
            ip_version=4,
            cidr=FLAT_CIDR,
            allocation_pools=[{'start': first, 'end': last}],
        )


def _keep_segment(cloud: openstack.connection.Connection, name: str) -> None:
    """Keep a port in a VLAN network, bound to the gateway; idempotent.

    What takes the segment of a network away with its last server looks for
    ports of any kind.
    """
    network = cloud.network.find_network(name, ignore_missing=False)
    keeper = f'{name}-keeper'
    if cloud.network.find_port(keeper, network_id=network.id) is None:
        cloud.network.create_port(
            network_id=network.id,
            name=keeper,
            fixed_ips=[],
            binding_host_id=fabric.GATEWAY_NAME,
        )


def make_offer(
    site: api.Site, image: pathlib.Path, public_key: pathlib.Path
) -> None:
    """Make what a member chooses from: flavours, an image; idempotent.

    :param image: qcow2.
    :param public_key: that member `demo` logs in with.
    """

    def make() -> None:
        cloud = connect(site, 'admin')
        if not cloud.compute.find_flavor(SMALL):
            cloud.compute.create_flavor(name=SMALL, ram=512, vcpus=1, disk=3)
        flavor = cloud.compute.find_flavor(METAL)
        if not flavor:
            flavor = cloud.compute.create_flavor(
                name=METAL, ram=3072, vcpus=2, disk=10
            )
        # Without these it would be one of VMs.
        cloud.compute.create_flavor_extra_specs(
            flavor,
            {
                f'resources:{RESOURCE}': '1',
                'resources:DISK_GB': '0',
                'resources:MEMORY_MB': '0',
                'resources:VCPU': '0',
            },
        )
        found = cloud.image.find_image(IMAGE)
        if not found:
            cloud.image.create_image(
                IMAGE,
                filename=str(image),
                disk_format='qcow2',
                container_format='bare',
                visibility='public',
                hw_vif_model=NIC_MODEL,
                wait=True,
            )
        elif found.hw_vif_model != NIC_MODEL:
            cloud.image.update_image(found, hw_vif_model=NIC_MODEL)
        member = connect(site, PROJECTS[0])
        if not member.compute.find_keypair(PROJECTS[0]):
            member.compute.create_keypair(
                name=PROJECTS[0], public_key=public_key.read_text()
            )

    network.call(make)
