# SPDX-License-Identifier: Apache-2.0
"""Management interface `zsbm`: boot device, sensors, LED, enrolment.

On a Redfish node every write and rare read is upstream's, whose class this
one extends: it holds years of vendor fixes. On an IPMI node it is `bmc.ipmi`,
and what IPMI cannot do says so. The verify step `enrol` finds the protocol of
a new node and fills upstream's keys, so that upstream's other interfaces
work on it.
"""

import functools
import time
from collections.abc import Callable
from typing import Any

from ironic.common import boot_devices, components, indicator_states
from ironic.common import exception as ironic_exception
from ironic.common import utils as ironic_lib
from ironic.conductor import task_manager
from ironic.conf import CONF
from ironic.drivers import base as ironic_base
from ironic.drivers import utils as driver_lib
from ironic.drivers.modules.redfish import management as redfish_management
from oslo_utils import strutils

from zsbm_ironic.bmc import base, quirks
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import ironic_compat
from zsbm_ironic.drivers import (
    access,
    alerts,
    enrolment,
    metrics,
    sensors,
    served,
    systems,
)
from zsbm_ironic.drivers.translate import translated

_DEVICES = {
    boot_devices.PXE: base.BootDevice.PXE,
    boot_devices.DISK: base.BootDevice.DISK,
    boot_devices.CDROM: base.BootDevice.CDROM,
    boot_devices.BIOS: base.BootDevice.BIOS,
    boot_devices.SAFE: base.BootDevice.SAFE,
}
_WORDS = {device: word for word, device in _DEVICES.items()}
# Section 28.5: an IPMI chassis has one identify light.
LED = 'identify'
HEALTH_S = 300.0


def _redfish_only(name: str) -> Callable[..., Any]:
    """Return upstream's method, refused on a node that speaks IPMI."""
    upstream = getattr(redfish_management.RedfishManagement, name)

    @functools.wraps(upstream)
    def method(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        access.refresh(task)
        if not access.is_ipmi(task.node):
            return upstream(self, task, *args, **kwargs)
        raise ironic_exception.UnsupportedDriverExtension(
            driver=f'{task.node.driver} over IPMI', extension=name
        )

    return translated(method)


class ZsbmManagement(
    metrics.MetricsMixin,
    systems.SystemsMixin,
    alerts.AlertsMixin,
    redfish_management.RedfishManagement,
):
    """Management of a node whose BMC speaks Redfish or IPMI."""

    def __init__(self) -> None:
        """Let upstream's Redfish sessions trust pinned certificates."""
        super().__init__()
        self._health: dict[str, tuple[float, Any]] = {}
        self.served = served.Served()
        ironic_compat.trust_pinned_certificates(access.pins)

    def get_properties(self) -> dict[str, str]:
        """Return the keys of driver_info with their meaning."""
        return dict(bmc_credentials.BMC_KEYS)

    @translated
    def validate(self, task: task_manager.TaskManager) -> None:
        """Check driver_info only, as the power interface does."""
        if access.being_managed(task):
            access.credentials(task.node)
            return
        access.decided(task.node)
        access.refresh(task, contact=False)

    @ironic_base.verify_step(priority=90)
    @translated
    def enrol(self, task: task_manager.TaskManager) -> None:
        """Find the protocol, check the login, fill upstream's keys."""
        enrolment.enrol(task)

    @ironic_base.verify_step(priority=1)
    @translated
    def verify_bmc_clock(self, task: task_manager.TaskManager) -> None:
        """Set the clock of a Redfish BMC, where `enrol` went well."""
        if enrolment.is_enrolled(task) and not access.is_ipmi(task.node):
            super().verify_bmc_clock(task)

    @translated
    def get_supported_boot_devices(
        self, task: task_manager.TaskManager
    ) -> list[str]:
        """Return what set_boot_device takes on this node's protocol."""
        if access.is_ipmi(task.node):
            return list(_DEVICES)
        return list(super().get_supported_boot_devices(task))

    @translated
    @task_manager.require_exclusive_lock
    def set_boot_device(
        self,
        task: task_manager.TaskManager,
        device: str,
        persistent: bool = False,
    ) -> None:
        """Set the boot device of the next boot, or of all."""
        access.refresh(task)
        node = task.node
        if not access.is_ipmi(node):
            access.ask(task, lambda bmc: bmc.get_power())
            super().set_boot_device(task, device, persistent=persistent)
            return
        if device not in _DEVICES:
            raise ironic_exception.InvalidParameterValue(
                f'Node {node.name or node.uuid}: boot device {device} is not '
                f'one of {", ".join(_DEVICES)}.'
            )
        if _flag(node, 'ipmi_force_boot_device', False):
            # Remembered here and set again before each boot.
            driver_lib.force_persistent_boot(task, device, persistent)
            persistent = False
        setting = base.BootSetting(
            _DEVICES[device], persistent, _boots_efi(node)
        )
        quirk = _quirk(node)
        keep = _flag(
            node, 'ipmi_disable_boot_timeout', CONF.ipmi.disable_boot_timeout
        )
        access.ask(
            task,
            lambda bmc: bmc.set_boot_device(
                setting, quirk=quirk, keep_past_timeout=keep
            ),
        )

    @translated
    def get_boot_device(
        self, task: task_manager.TaskManager
    ) -> dict[str, Any]:
        """Return boot_device and persistent, each None where unknown."""
        access.refresh(task)
        node = task.node
        if not access.is_ipmi(node):
            return dict(super().get_boot_device(task))
        info = node.driver_internal_info
        if (
            _flag(node, 'ipmi_force_boot_device', False)
            and info.get('persistent_boot_device')
            and info.get('is_next_boot_persistent', True)
        ):
            return {
                'boot_device': info['persistent_boot_device'],
                'persistent': True,
            }
        quirk = _quirk(node)
        found = access.ask(task, lambda bmc: bmc.get_boot_device(quirk))
        return {
            'boot_device': _WORDS.get(found.device),
            'persistent': found.persistent,
        }

    @translated
    def get_sensors_data(
        self, task: task_manager.TaskManager
    ) -> dict[str, Any]:
        """Return readings grouped by kind, in upstream's shape.

        :raises IronicException: the BMC fails.
        """
        access.refresh(task)
        if not access.is_ipmi(task.node):
            tell = functools.partial(
                ironic_compat.redfish_sensors, self, task.node
            )
            return access.ask(task, lambda bmc: bmc.read('sensors', tell))
        return sensors.as_ipmi(access.ask(task, lambda bmc: bmc.sensors()))

    @translated
    def get_node_health(self, task: task_manager.TaskManager) -> Any:
        """Return a HealthState; None where the BMC cannot tell.

        Ironic asks at each power sync. Over IPMI an answer takes a question
        for each sensor, so it is kept for HEALTH_S.
        """
        kept = self._health.get(task.node.uuid)
        if kept and time.monotonic() - kept[0] < HEALTH_S:
            return kept[1]
        access.refresh(task)
        found = sensors.health_word(access.ask(task, lambda bmc: bmc.health()))
        if access.is_ipmi(task.node):
            self._health[task.node.uuid] = (time.monotonic(), found)
        return found

    @translated
    def inject_nmi(self, task: task_manager.TaskManager) -> None:
        """Send a diagnostic interrupt, once."""
        access.refresh(task)
        if not access.is_ipmi(task.node):
            super().inject_nmi(task)
            return
        access.ask(
            task,
            lambda bmc: bmc.set_power(base.PowerAction.NMI),
            once=True,
        )

    @translated
    def detect_vendor(self, task: task_manager.TaskManager) -> str | None:
        """Return the maker's name in lower case, as upstream stores it."""
        access.refresh(task)
        if not access.is_ipmi(task.node):
            return super().detect_vendor(task)
        found = access.ask(task, lambda bmc: bmc.vendor())
        return found.manufacturer.lower() if found.manufacturer else None

    @translated
    def get_mac_addresses(self, task: task_manager.TaskManager) -> list[str]:
        """Return MAC addresses of the node's NICs.

        :raises UnsupportedDriverExtension: an IPMI BMC that lists none.
        """
        access.refresh(task)
        if not access.is_ipmi(task.node):
            return list(super().get_mac_addresses(task) or ())
        found = access.ask(task, lambda bmc: bmc.macs())
        if not found:
            raise ironic_exception.UnsupportedDriverExtension(
                driver=f'{task.node.driver} over IPMI',
                extension='get_mac_addresses',
            )
        return list(found)

    @translated
    def get_supported_indicators(
        self,
        task: task_manager.TaskManager,
        component: str | None = None,
    ) -> dict[str, Any]:
        """Return the lights that can be set, by component."""
        access.refresh(task)
        if not access.is_ipmi(task.node):
            return dict(super().get_supported_indicators(task, component))
        if component not in (None, components.CHASSIS):
            return {}
        switch = [indicator_states.ON, indicator_states.OFF]
        return {
            components.CHASSIS: {LED: {'readonly': False, 'states': switch}}
        }

    @translated
    def set_indicator_state(
        self,
        task: task_manager.TaskManager,
        component: str,
        indicator: str,
        state: str,
    ) -> None:
        """Light the identify LED, or put it out."""
        access.refresh(task)
        if not access.is_ipmi(task.node):
            super().set_indicator_state(task, component, indicator, state)
            return
        _check_led(task.node, component, indicator)
        if state not in (indicator_states.ON, indicator_states.OFF):
            raise ironic_exception.InvalidParameterValue(
                f'Node {task.node.name or task.node.uuid}: indicator state '
                f'{state} is not on or off.'
            )
        lit = state == indicator_states.ON
        access.ask(task, lambda bmc: bmc.identify(lit))

    @translated
    def get_indicator_state(
        self,
        task: task_manager.TaskManager,
        component: str,
        indicator: str,
    ) -> str:
        """Return on, off or unknown, as `indicator_states` has them."""
        access.refresh(task)
        if not access.is_ipmi(task.node):
            return str(super().get_indicator_state(task, component, indicator))
        _check_led(task.node, component, indicator)
        lit = access.ask(task, lambda bmc: bmc.is_identifying())
        if lit is None:
            return str(indicator_states.UNKNOWN)
        return str(indicator_states.ON if lit else indicator_states.OFF)

    # IPMI can neither read nor set these; ironic learns the boot mode of
    # such a node from its own DHCP request or from inspection.
    get_supported_boot_modes = _redfish_only('get_supported_boot_modes')
    get_boot_mode = _redfish_only('get_boot_mode')
    set_boot_mode = _redfish_only('set_boot_mode')
    get_secure_boot_state = _redfish_only('get_secure_boot_state')
    set_secure_boot_state = _redfish_only('set_secure_boot_state')
    get_virtual_media = _redfish_only('get_virtual_media')
    attach_virtual_media = _redfish_only('attach_virtual_media')
    detach_virtual_media = _redfish_only('detach_virtual_media')
    update_firmware = _redfish_only('update_firmware')
    set_bmc_clock = _redfish_only('set_bmc_clock')
    clear_secure_boot_keys = _redfish_only('clear_secure_boot_keys')
    reset_secure_boot_keys_to_default = _redfish_only(
        'reset_secure_boot_keys_to_default'
    )


def _flag(node: Any, key: str, default: bool) -> bool:
    value = node.driver_info.get(key)
    return bool(strutils.bool_from_string(default if value is None else value))


def _quirk(node: Any) -> quirks.Quirk:
    return quirks.of(str(node.properties.get('vendor') or ''))


def _boots_efi(node: Any) -> bool:
    """Return whether the node is known to boot by UEFI.

    Ironic's default boot mode is a guess that it writes down as if it were
    known (deploy_boot_mode); a BIOS machine that is told to boot by EFI does
    not boot. Only what a person, inspection or the node's own DHCP request
    said counts.
    """
    asked = ironic_lib.parse_instance_info_capabilities(node)
    mode = asked.get('boot_mode') or driver_lib.get_node_capability(
        node, 'boot_mode'
    )
    return bool(mode == 'uefi')


def _check_led(node: Any, component: str, indicator: str) -> None:
    if (component, indicator) != (components.CHASSIS, LED):
        raise ironic_exception.InvalidParameterValue(
            f'Node {node.name or node.uuid}: there is no indicator '
            f'{indicator} on {component}; chassis has "{LED}".'
        )
