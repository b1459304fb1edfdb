# SPDX-License-Identifier: Apache-2.0
"""A server asked of Nova: upstream's way against ours, in one cloud.

Upstream's way: type `redfish`, network interface `neutron`, boot interface
`ipxe`, deploy interface `direct`; ours: `zsbm` with `zsbm-vpc`. Same machine,
image, switch, network, and DHCP provider: a conductor has one. From the
request of a member to a login.

python -m benchmarks.bench_cloud_boot [--pairs N]
"""

import functools
import os

from openstack import utils

from benchmarks import comparison, deploy
from tests.e2e import base
from tests.e2e.cloud import case
from zsbm_ironic.common import process, progress
from zsbm_ironic.lab import bench, demo, layout, lifecycle, network
from zsbm_ironic.lab.cloud import api, cloud, fabric, servers, world

MACHINE = 'metal-uefi'
STATE = f'{case.STATE}-bench'


def main() -> None:
    """Measure the missing pairs in one cloud, which is left as it was."""
    base.make_room()
    os.environ['ZSBM_LAB_DIR'] = STATE
    lab = lifecycle.Lab(layout.Layout.from_environment(), progress.Progress())
    lab.up(case.PLAN)
    try:
        site = cloud.site_of(lab.folders.state, lab.cache())
        fabric.join(
            fabric.switch(lab.folders.state / 'cloud'),
            case.NEIGHBOUR,
            fabric.FLAT_VLAN,
            f'{case.ADDRESS}/24',
        )
        deploy.compare(
            'cloud-boot', MACHINE, functools.partial(measure, lab, site)
        )
    finally:
        lab.down(wipe=False)


def measure(lab: lifecycle.Lab, site: api.Site, stack: str) -> comparison.Run:
    """Have one server delivered, and give it back."""
    machine = demo.find(lab.declared(), MACHINE)

    def as_(name, function):
        return network.call(lambda: function(world.connect(site, name)))

    uuid = as_('system', functools.partial(_make_ready, lab, machine, stack))
    as_('admin', lambda one: servers.wait_until_offered(one, uuid))

    def deliver() -> None:
        (server,) = as_('demo', _create)
        _log_in(lab, case.address_of(server, world.FLAT))

    run = deploy.observe(lab, machine, stack, deliver)
    as_('demo', _delete)
    as_(
        'system',
        lambda one: one.baremetal.wait_for_nodes_provision_state(
            [uuid], 'available', timeout=case.ACTIVE_S
        ),
    )
    as_('system', lambda one: one.baremetal.delete_node(uuid))
    return run


def _make_ready(lab, machine, stack, operator):
    """Enrol a machine in one of both ways; return its node's UUID."""
    fingerprint = bench.fingerprint(machine, lab.folders)
    if stack == 'stock':
        servers.enrol(
            operator,
            machine,
            driver='redfish',
            driver_info=demo.Server(lab, machine).stock_enrolment()[
                'driver_info'
            ],
            network_interface='neutron',
            boot_interface='ipxe',
            deploy_interface='direct',
            inspect_interface='agent',
            properties={'capabilities': 'boot_mode:uefi'},
        )
    uuid = servers.make_manageable(operator, machine, fingerprint)
    # Cleaning is the same on both sides and not what is compared.
    operator.baremetal.update_node(uuid, is_automated_clean_enabled=False)
    return servers.make_available(operator, machine, fingerprint)


def _create(member):
    asked = case.ask(member, case.SERVER, world.FLAT)
    return [member.compute.wait_for_server(asked, wait=case.ACTIVE_S)]


def _delete(member):
    for server in member.compute.servers():
        member.compute.delete_server(server)
        member.compute.wait_for_delete(server, wait=case.ACTIVE_S)


def _log_in(lab: lifecycle.Lab, address: str) -> None:
    login = [
        *network.nsenter(case.NEIGHBOUR),
        *('ssh', '-i', str(lab.folders.ssh_key), '-oBatchMode=yes'),
        *('-oConnectTimeout=5', '-oStrictHostKeyChecking=no'),
        *('-oUserKnownHostsFile=/dev/null', f'root@{address}', 'true'),
    ]
    for _ in utils.iterate_timeout(case.SSH_S, 'no login', wait=1):
        done = process.run(login, timeout_s=60, check=False)
        if done.returncode == 0:
            return


if __name__ == '__main__':
    main()
