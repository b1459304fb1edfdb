# SPDX-License-Identifier: Apache-2.0
"""Racks full of servers that are BMCs alone, enrolled in the lab's Ironic.

For what one server cannot show: a conductor with a thousand of them. Called
by `zsbm-lab fleet`. All BMCs are one process, which has a whole network to
itself behind a leg on the lab's wire: the BMCs of machines have the same
ports. What is enrolled already stays.
"""

import dataclasses
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any

import openstack
from openstack import exceptions as sdk

from zsbm_ironic.common import exception, whole_file
from zsbm_ironic.lab import bench, daemon, ironic, layout, lifecycle, network
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.emulator import client as clients
from zsbm_ironic.lab.emulator import fleet

# RFC 2544: for benchmarks, never routed.
NETWORK = '198.19.0.0/16'
NAMESPACE = f'{layout.NAMESPACE}-fleet'
GATEWAY = '198.51.100.249'
RESOURCE_CLASS = 'fleet'
READY_S = 120
# That a conductor verifies at a time: it has a hundred workers for all work.
WINDOW = 40
MANAGED_S = 1800
_PASSWORD_BYTES = 8


def up(lab: lifecycle.Lab, *, ipmi: int, redfish: int) -> None:
    """Have so many BMCs, each known to Ironic and manageable.

    :raises LabStepFailed: Ironic cannot manage one; the message says which.
    """
    if not ironic.api_answers():
        raise lab_exception.LabSettingInvalid(
            where='zsbm-lab fleet', what='there is no lab; zsbm-lab up'
        )
    client = _serve(lab, ipmi, redfish)
    members = client.status()['members']
    cloud = openstack.connection.Connection(
        auth_type='none',
        endpoint=f'http://{layout.CONDUCTOR_ADDRESSES[0]}:{layout.API_PORT}',
    )
    with lab.report.step(f'fleet: enrol {len(members)} servers'):
        network.call(lambda: _enrol(cloud.baremetal, members))
    with lab.report.step('fleet: all are manageable'):
        network.call(lambda: _manage(cloud.baremetal, members))


def _serve(lab: lifecycle.Lab, ipmi: int, redfish: int) -> clients.Client:
    """Start the process, or another where it has other BMCs."""
    root = lab.folders.fleet
    ironic.folder(root, bench.OWN, 0o750)
    path = root / 'plan.json'
    known = json.loads(path.read_text()) if path.exists() else {}
    plan = fleet.Plan(
        network=NETWORK,
        ipmi=ipmi,
        redfish=redfish,
        password=known.get('password')
        or secrets.token_urlsafe(_PASSWORD_BYTES),
    )
    wanted = dataclasses.asdict(plan)
    if wanted != known:
        lab.supervisor.stop(bench.FLEET_PROCESS)
        whole_file.write(path, json.dumps(wanted), mode=0o600)
        os.chown(path, *bench.OWN)
    network.create_branch(NAMESPACE, f'{GATEWAY}/24')
    network.ip(
        *('route', 'replace', 'local', NETWORK, 'dev', 'lo'),
        namespace=NAMESPACE,
    )
    network.ip('route', 'replace', NETWORK, 'via', GATEWAY)
    found = bench.fleet_client(lab.folders)
    lab.supervisor.start(
        daemon.Daemon(
            bench.FLEET_PROCESS,
            (
                ironic.executable('python'),
                *('-m', fleet.__name__, str(path)),
                str(root / bench.FLEET_SOCKET),
            ),
            daemon.Identity(*bench.OWN, capabilities=('net_bind_service',)),
            ironic.environment(root),
            namespace=NAMESPACE,
            ready=lambda: _answers(found),
            ready_s=READY_S,
        )
    )
    return found


def _answers(one: clients.Client) -> bool:
    try:
        return bool(one.status())
    except exception.ZsbmError:
        return False


def _enrol(baremetal: Any, members: Mapping[str, Mapping[str, Any]]) -> None:
    there = {node.name for node in baremetal.nodes(fields=['name'])}
    for name, info in members.items():
        if name not in there:
            baremetal.create_node(
                name=name,
                driver='zsbm',
                driver_info=dict(info),
                resource_class=RESOURCE_CLASS,
            )


def _manage(baremetal: Any, members: Mapping[str, Any]) -> None:
    """Have all of them verified, some at a time; a refusal is tried once."""
    deadline = time.monotonic() + MANAGED_S
    asked: set[str] = set()
    while True:
        nodes = list(_ours(baremetal, members))
        verifying = sum(one.provision_state == 'verifying' for one in nodes)
        todo = [one for one in nodes if one.provision_state == 'enroll']
        failed = [one for one in todo if one.id in asked and one.last_error]
        if failed:
            raise lab_exception.LabStepFailed(
                step='manage',
                machine=failed[0].name,
                error=failed[0].last_error,
            )
        if not todo and not verifying:
            return
        if time.monotonic() > deadline:
            raise lab_exception.LabStepFailed(
                step='manage',
                machine=f'{len(todo) + verifying} of them',
                error=f'not in {MANAGED_S} s',
            )
        for one in todo[: max(0, WINDOW - verifying)]:
            try:
                baremetal.set_node_provision_state(one, 'manage')
                asked.add(one.id)
            except (sdk.ConflictException, sdk.HttpException):
                # No worker is free: its turn comes again.
                break
        time.sleep(1)


def _ours(baremetal: Any, members: Mapping[str, Any]) -> Iterator[Any]:
    fields = ['uuid', 'name', 'provision_state', 'last_error']
    for node in baremetal.nodes(fields=fields):
        if node.name in members:
            yield node
