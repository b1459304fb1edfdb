# SPDX-License-Identifier: Apache-2.0
"""What the deploy step `check_network` asks the ramdisk, and what it says.

The step is of `deploy`; what is judged, and how, is of the room `network`.
"""

from typing import Any

from ironic.conductor import task_manager
from ironic.drivers.modules import agent_base

from zsbm_ironic.drivers import events
from zsbm_ironic.network import checked, sight

# A switch sends LLDP every 30 s (IEEE 802.1AB-2016, 9.2.5.7), the ramdisk
# listens from its start.
LLDP_S = 31


def arguments(task: task_manager.TaskManager) -> dict[str, Any] | None:
    """Return the arguments of the step, None where nothing is to be asked.

    LLDP is waited for where the switch was heard before, at inspection.
    """
    interface = task.driver.network
    if not isinstance(interface, checked.Checked):
        return None
    network = interface.ramdisk_network(task)
    heard = any(one.neighbour for one in interface.inspected(task).nics)
    return {
        'mtu': network and network.mtu,
        'wait_s': LLDP_S if heard else 0,
    }


@agent_base.post_deploy_step_hook(interface='deploy', step='check_network')
def judge(task: task_manager.TaskManager, command: dict[str, Any]) -> None:
    """End the deploy where the server is not where it is said to be.

    :raises NetworkWrong: a cable, a VLAN or the size of packets is wrong.
    """
    result = (command.get('command_result') or {}).get('deploy_result')
    interface = task.driver.network
    if not isinstance(result, dict) or not isinstance(
        interface, checked.Checked
    ):
        return
    found = sight.judge(
        checked.nics_of(task),
        sight.read(result),
        network=interface.ramdisk_network(task),
    )
    events.note(
        task.node.uuid,
        'agent',
        'network-seen',
        ', '.join(f'{one.check} {one.state}' for one in found),
    )
    checked.refuse(task, found)
