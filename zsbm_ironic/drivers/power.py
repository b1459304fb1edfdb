# SPDX-License-Identifier: Apache-2.0
"""Power interface `zsbm`: chassis power over either protocol.

Reads go through held sessions of `bmc`. Actions on an IPMI BMC are sent by
`bmc.ipmi`, which sends none twice blindly; on a Redfish BMC they are
upstream's, whose class this one extends, after one quick question has shown
that the BMC answers: upstream would try a dead one for minutes.
"""

from collections.abc import Callable
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_lib
from ironic.conf import CONF
from ironic.drivers import utils as driver_lib
from ironic.drivers.modules.redfish import power as redfish_power

from zsbm_ironic.bmc import base
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.drivers import access, enrolment, events, power_watch
from zsbm_ironic.drivers.translate import translated

_STATES = {
    base.PowerState.ON: states.POWER_ON,
    base.PowerState.OFF: states.POWER_OFF,
}


class ZsbmPower(power_watch.PowerWatchMixin, redfish_power.RedfishPower):
    """Power of a node whose BMC speaks Redfish or IPMI."""

    def get_properties(self) -> dict[str, str]:
        """Return the keys of driver_info with their meaning."""
        return dict(bmc_credentials.BMC_KEYS)

    @translated
    def validate(self, task: task_manager.TaskManager) -> None:
        """Check driver_info only: this runs inside an API call.

        :raises MissingParameterValue: a key is missing, or the protocol is
            not known before `manage`.
        :raises InvalidParameterValue: a value cannot be used.
        """
        if access.being_managed(task):
            access.credentials(task.node)
            return
        access.decided(task.node)
        access.refresh(task, contact=False)

    @translated
    def get_power_state(self, task: task_manager.TaskManager) -> str:
        """Ask the BMC, or tell Ironic's own loop what the watch has seen.

        Only tasks that share a node are told that: who acts on it looks for
        himself.
        """
        if task.shared and (seen := self.seen(task.node)) is not None:
            return _STATES[seen]
        if access.being_managed(task):
            enrolment.ensure_detected(task)
        access.refresh(task)
        return _STATES[access.ask(task, lambda bmc: bmc.get_power())]

    @translated
    @task_manager.require_exclusive_lock
    def set_power_state(
        self,
        task: task_manager.TaskManager,
        power_state: str,
        timeout: int | None = None,
    ) -> None:
        """Bring the node to a power state and wait until it is there.

        :param timeout: seconds; None is ironic's option for that state.
        """
        _note(task, power_state)
        access.refresh(task)
        if not access.is_ipmi(task.node):
            access.ask(task, lambda bmc: bmc.get_power())
            super().set_power_state(task, power_state, timeout=timeout)
        elif power_state == states.POWER_ON:
            _on(task, timeout)
        elif power_state == states.POWER_OFF:
            _act(task, base.PowerAction.OFF, states.POWER_OFF, timeout)
        elif power_state == states.SOFT_POWER_OFF:
            _soft_off(task, timeout)
        elif power_state == states.SOFT_REBOOT:
            if task.node.disable_power_off:
                raise ironic_exception.UnsupportedHardwareFeature(
                    node=task.node.uuid, feature=states.SOFT_POWER_OFF
                )
            _soft_off(task, timeout)
            _on(task, timeout)
        else:
            raise ironic_exception.InvalidParameterValue(
                f'Node {task.node.name or task.node.uuid}: {power_state} is '
                'not a power state that can be asked for.'
            )

    @translated
    @task_manager.require_exclusive_lock
    def reboot(
        self, task: task_manager.TaskManager, timeout: int | None = None
    ) -> None:
        """Power off and on, or only on where it is off.

        :param timeout: seconds for each of the two.
        """
        _note(task, states.REBOOT)
        access.refresh(task)
        current = access.ask(task, lambda bmc: bmc.get_power())
        if not access.is_ipmi(task.node):
            super().reboot(task, timeout=timeout)
            return
        if task.node.disable_power_off:
            _before_boot(task)
            _act(task, base.PowerAction.RESET, states.POWER_ON, timeout)
            return
        if current is not base.PowerState.OFF:
            _act(task, base.PowerAction.OFF, states.POWER_OFF, timeout)
        _on(task, timeout)

    def get_supported_power_states(
        self, task: task_manager.TaskManager
    ) -> list[str]:
        """Return what set_power_state takes, `rebooting` included."""
        return [
            states.POWER_ON,
            states.POWER_OFF,
            states.REBOOT,
            states.SOFT_REBOOT,
            states.SOFT_POWER_OFF,
        ]


def _note(task: task_manager.TaskManager, power_state: str) -> None:
    """Tell the timeline what the BMC is about to be told."""
    events.note(task.node.uuid, 'bmc', power_state.replace(' ', '-'))


def _act(
    task: task_manager.TaskManager,
    action: base.PowerAction,
    target: str,
    timeout: int | None,
) -> None:
    def act(bmc: Any) -> None:
        bmc.set_power(action)

    send: Callable[[Any], None] = act
    access.ask(task, send, once=True)
    conductor_lib.node_wait_for_power_state(task, target, timeout=timeout)


def _before_boot(task: task_manager.TaskManager) -> None:
    """Set the boot device again for a BMC that cannot remember it."""
    forced = task.node.driver_info.get('ipmi_force_boot_device', False)
    driver_lib.ensure_next_boot_device(task, {'force_boot_device': forced})


def _on(task: task_manager.TaskManager, timeout: int | None) -> None:
    _before_boot(task)
    _act(task, base.PowerAction.ON, states.POWER_ON, timeout)


def _soft_off(task: task_manager.TaskManager, timeout: int | None) -> None:
    limit_s = timeout or CONF.conductor.soft_power_off_timeout
    _act(task, base.PowerAction.SOFT_OFF, states.POWER_OFF, limit_s)
