# SPDX-License-Identifier: Apache-2.0
"""What a fresh cloud has in it, made by its own APIs.

Each step looks first whether it was done: an interrupted one is taken up.
"""

import json
import pathlib
import time
from typing import Any

import openstack

from zsbm_ironic.common import whole_file
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import layout, network
from zsbm_ironic.lab.cloud import (
    api,
    fabric,
    glance,
    neutron,
    nova,
    placement,
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
ACCOUNTS = (*(name for _, name, _, _ in SERVICES), 'admin', *PROJECTS)
# Networks: what servers boot in, without a DHCP of Neutron; and what servers
# and VMs share.
PROVISIONING = 'provisioning'
FLAT = 'flat'
FLAT_CIDR = '203.0.113.0/24'
PROVISIONING_POOL = ('198.51.100.150', '198.51.100.199')
# Of servers, and the flavour that asks for one of them.
RESOURCE_CLASS = 'baremetal'
# As Placement has it.
RESOURCE = f'CUSTOM_{RESOURCE_CLASS.upper()}'
METAL = 'metal'
IMAGE = 'debian'
PASSWORDS = (*ACCOUNTS, 'broker', 'database', 'metadata')


def write_clouds(site: api.Site) -> pathlib.Path:
    """Write clouds.yaml, for root alone: admin, system, and each project."""
    clouds = {'admin': _cloud(site, 'admin', 'admin')}
    clouds['system'] = _cloud(site, 'admin', None)
    for name in PROJECTS:
        clouds[name] = _cloud(site, name, name)
    path = site.state / 'cloud' / 'clouds.yaml'
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


def connect(site: api.Site, name: str) -> openstack.connection.Connection:
    """Return a connection as one of `write_clouds`.

    To be used inside the namespace of the lab, see `network.call`.
    """
    return openstack.connection.Connection(
        config=openstack.config.OpenStackConfig(
            config_files=[str(site.state / 'cloud' / 'clouds.yaml')],
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
    there = {one.name: one for one in identity.services()}
    for kind, name, port, path in SERVICES:
        if name in there:
            continue
        made = identity.create_service(type=kind, name=name)
        for interface in ('public', 'internal', 'admin'):
            identity.create_endpoint(
                service_id=made.id,
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

    deadline = time.monotonic() + IRONIC_S
    while 'zsbm' not in network.call(drivers):
        if time.monotonic() > deadline:
            raise lab_exception.LabProcessFailed(
                name='ironic',
                why=f'no conductor in {IRONIC_S} s',
                log='its log',
                tail='',
            )
        time.sleep(1)


def make_networks(site: api.Site) -> None:
    """Make the networks that an operator makes; idempotent."""
    network.call(lambda: _make_networks(connect(site, 'admin')))


def _make_networks(cloud: openstack.connection.Connection) -> None:
    there = {one.name for one in cloud.network.networks()}
    physical = {
        'provider_physical_network': fabric.PHYSICAL_NETWORK,
        'is_shared': False,
    }
    if PROVISIONING not in there:
        made = cloud.network.create_network(
            name=PROVISIONING,
            provider_network_type='vlan',
            provider_segmentation_id=fabric.PROVISIONING_VLAN,
            **physical,
        )
        first, last = PROVISIONING_POOL
        cloud.network.create_subnet(
            network_id=made.id,
            name=PROVISIONING,
            ip_version=4,
            cidr=layout.PROVISIONING_CIDR,
            gateway_ip=None,
            is_dhcp_enabled=False,
            allocation_pools=[{'start': first, 'end': last}],
        )
    if FLAT not in there:
        made = cloud.network.create_network(
            name=FLAT,
            provider_network_type='flat',
            **{**physical, 'is_shared': True},
        )
        cloud.network.create_subnet(
            network_id=made.id, name=FLAT, ip_version=4, cidr=FLAT_CIDR
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
        if not cloud.compute.find_flavor(METAL):
            flavor = cloud.compute.create_flavor(
                name=METAL, ram=3072, vcpus=2, disk=10
            )
            cloud.compute.create_flavor_extra_specs(
                flavor,
                {
                    f'resources:{RESOURCE}': '1',
                    'resources:DISK_GB': '0',
                    'resources:MEMORY_MB': '0',
                    'resources:VCPU': '0',
                },
            )
        if not cloud.image.find_image(IMAGE):
            cloud.image.create_image(
                IMAGE,
                filename=str(image),
                disk_format='qcow2',
                container_format='bare',
                visibility='public',
                wait=True,
            )
        member = connect(site, PROJECTS[0])
        if not member.compute.find_keypair(PROJECTS[0]):
            member.compute.create_keypair(
                name=PROJECTS[0], public_key=public_key.read_text()
            )

    network.call(make)
