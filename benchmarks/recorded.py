# SPDX-License-Identifier: Apache-2.0
"""A fleet in Ironic's database, as `manage` would have left it.

python -m benchmarks.recorded IRONIC.CONF MEMBERS.json WAY: by Ironic's own
objects, before its conductor starts. To enrol a thousand servers by the API
takes longer than what is measured then. Called by bench_conductor.
"""

import json
import pathlib
import sys
from typing import Any

from ironic import objects
from ironic.common import context, driver_factory, service, states
from oslo_utils import uuidutils

# Upstream's types, and the beginning of what their driver_info has.
STOCK, OURS = 'stock', 'zsbm'


def main(config: str, members_file: str, way: str) -> None:
    """Record every member."""
    service.prepare_service('ironic', ['ironic', '--config-file', config])
    admin = context.get_admin_context()
    for name, info in json.loads(
        pathlib.Path(members_file).read_text()
    ).items():
        node = objects.Node(
            admin,
            uuid=uuidutils.generate_uuid(),
            name=name,
            **_described(way, info),
            provision_state=states.MANAGEABLE,
            power_state=states.POWER_ON,
            properties={},
            resource_class='fleet',
        )
        driver_factory.check_and_update_node_interfaces(node)
        node.create()


def _described(way: str, info: dict[str, Any]) -> dict[str, Any]:
    """Return type and driver_info of a member."""
    if way == OURS:
        return {'driver': 'zsbm', 'driver_info': info}
    protocol = info['bmc_protocol']
    address = info['bmc_address']
    if protocol == 'redfish':
        address = f'https://{address}:{info["bmc_port"]}'
    found = {
        f'{protocol}_address': address,
        f'{protocol}_username': info['bmc_username'],
        f'{protocol}_password': info['bmc_password'],
    }
    if protocol == 'redfish':
        found['redfish_verify_ca'] = False
    return {'driver': protocol, 'driver_info': found}


if __name__ == '__main__':
    main(*sys.argv[1:])
