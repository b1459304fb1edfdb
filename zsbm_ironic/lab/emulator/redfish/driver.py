# SPDX-License-Identifier: Apache-2.0
"""What sushy-tools asks of a system, answered by our chassis.

`SystemsDriver` and `Indicators` are put in place of sushy-tools' own fake
drivers; identities other than the chassis's UUID and name are unknown.
"""

import time
from typing import Any

from sushy_tools import error
from sushy_tools.emulator.resources.systems import base

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator.event_log import PowerEvent

Target = chassis_room.Target

#: Redfish ComputerSystem BootSource values (DSP8010) of our targets.
BOOT_SOURCES = {
    Target.NONE: 'None',
    Target.PXE: 'Pxe',
    Target.HTTP: 'UefiHttp',
    Target.DISK: 'Hdd',
    Target.CDROM: 'Cd',
    Target.SETUP: 'BiosSetup',
}
TARGETS = {source: target for target, source in BOOT_SOURCES.items()}


class SystemsDriver(base.AbstractSystemsDriver):
    """One system."""

    def __init__(self, chassis: chassis_room.Chassis) -> None:
        super().__init__()
        self._chassis = chassis
        self._http_boot_uri: str | None = None

    @property
    def _uuid(self) -> str:
        return str(self._chassis.asset.uuid)

    @property
    def driver(self) -> str:
        """Name for sushy-tools' log."""
        return '<zsbm-lab>'

    @property
    def systems(self) -> list[str]:
        """UUIDs of the systems behind this BMC: one."""
        return [self._uuid]

    def _check(self, identity: str) -> None:
        if identity == self._chassis.asset.name:
            raise error.AliasAccessError(self._uuid)
        if identity != self._uuid:
            raise error.NotFound(f'System {identity} was not found')

    def uuid(self, identity: str) -> str:
        """Return the UUID of a system given by UUID or name."""
        if identity not in (self._uuid, self._chassis.asset.name):
            raise error.NotFound(f'System {identity} was not found')
        return self._uuid

    def name(self, identity: str) -> str:
        """Return the name of a system given by UUID."""
        self._check(identity)
        return self._chassis.asset.name

    def get_power_state(self, identity: str) -> str:
        """Return On or Off."""
        self._check(identity)
        return 'On' if self._chassis.is_on else 'Off'

    def set_power_state(self, identity: str, state: str) -> None:
        """Do a Reset action; the power follows."""
        self._check(identity)
        chassis = self._chassis
        restart = chassis.reset if chassis.is_on else chassis.power_on
        action = {
            'On': chassis.power_on,
            'ForceOn': chassis.power_on,
            'ForceOff': chassis.power_off,
            'GracefulShutdown': chassis.soft_off,
            'ForceRestart': restart,
            'GracefulRestart': restart,
            'PowerCycle': chassis.power_cycle,
            'Nmi': chassis.nmi,
        }.get(state)
        if action is None:
            raise error.BadRequest(f'ResetType {state} is not supported')
        event = {
            'On': PowerEvent.ON,
            'ForceOn': PowerEvent.ON,
            'ForceOff': PowerEvent.OFF,
            'GracefulShutdown': PowerEvent.OFF,
            'PowerCycle': PowerEvent.CYCLE,
        }.get(state)
        if event is not None:
            chassis.log.power(event, int(time.time()))
        action()

    def get_boot_device(self, identity: str) -> str:
        """Return the boot source override as Redfish names it."""
        self._check(identity)
        return BOOT_SOURCES[self._chassis.boot.target]

    def set_boot_device(self, identity: str, boot_source: str) -> None:
        """Choose a boot source for every boot (see pages.py for once)."""
        self._check(identity)
        target = TARGETS.get(boot_source)
        if target is None:
            raise error.BadRequest(f'Boot source {boot_source} is unknown')
        self._chassis.set_boot(
            chassis_room.BootOverride(
                target, persistent=True, uefi=self._chassis.asset.uefi
            )
        )

    def get_boot_mode(self, identity: str) -> str:
        """Return UEFI or Legacy: what the machine is built with."""
        self._check(identity)
        return 'UEFI' if self._chassis.asset.uefi else 'Legacy'

    def set_boot_mode(self, identity: str, boot_mode: str) -> None:
        """Take the mode that the machine has, refuse the other."""
        if boot_mode != self.get_boot_mode(identity):
            raise error.BadRequest(
                f'This system boots in mode {self.get_boot_mode(identity)} '
                'only'
            )

    def get_secure_boot(self, identity: str) -> bool:
        """Return whether secure boot is on."""
        self._check(identity)
        if not self._chassis.asset.uefi:
            raise error.NotFound('No secure boot in legacy mode')
        return self._chassis.secure_boot

    def set_secure_boot(self, identity: str, secure: bool) -> None:
        """Switch secure boot; counts from the next power-on."""
        self.get_secure_boot(identity)
        self._chassis.set_secure_boot(secure)

    def get_total_memory(self, identity: str) -> float:
        """Return memory in GiB."""
        self._check(identity)
        return self._chassis.asset.memory_mib / 1024

    def get_total_cpus(self, identity: str) -> int:
        """Return the number of CPUs."""
        self._check(identity)
        return self._chassis.asset.cpus

    def get_versions(self, identity: str) -> dict[str, str]:
        """Return firmware versions."""
        self._check(identity)
        return {'BiosVersion': '1.0.0'}

    def get_nics(self, identity: str) -> list[dict[str, str]]:
        """Return id and MAC address of each network card."""
        self._check(identity)
        return [
            {'id': f'NIC.{number}', 'mac': mac}
            for number, mac in enumerate(self._chassis.asset.macs, start=1)
        ]

    def get_processors(self, identity: str) -> list[dict[str, Any]]:
        """Return one socket with all cores."""
        self._check(identity)
        return [
            {
                'id': 'CPU1',
                'socket': 'CPU 1',
                'vendor': 'QEMU',
                'model': 'max',
                'cores': self._chassis.asset.cpus,
                'threads': self._chassis.asset.cpus,
            }
        ]

    def get_simple_storage_collection(self, identity: str) -> dict[str, Any]:
        """Return controllers by bus, each with its disks."""
        self._check(identity)
        controllers: dict[str, Any] = {}
        for disk in self._chassis.asset.disks:
            controller = controllers.setdefault(
                disk.bus, {'Id': disk.bus, 'Name': disk.bus, 'DeviceList': []}
            )
            controller['DeviceList'].append(
                {'Name': disk.name, 'CapacityBytes': disk.size_bytes}
            )
        return controllers

    def get_boot_image(
        self, identity: str, device: str
    ) -> tuple[str | None, bool, bool]:
        """Return nothing: sushy-tools keeps the media's state itself."""
        return None, False, False

    def set_boot_image(
        self,
        identity: str,
        device: str,
        boot_image: str | None = None,
        write_protected: bool = True,
    ) -> None:
        """Put an image that sushy-tools fetched into the CD drive."""
        self._check(identity)
        self._chassis.set_media(boot_image)

    def get_http_boot_uri(self, identity: str) -> str | None:
        """Return the URI of the last UefiHttp boot."""
        return self._http_boot_uri

    def set_http_boot_uri(self, uri: str | None) -> None:
        """Remember it."""
        self._http_boot_uri = uri


class Indicators:
    """The identify light as Redfish shows it."""

    def __init__(self, chassis: chassis_room.Chassis) -> None:
        self._chassis = chassis

    @property
    def _light(self) -> chassis_room.Indicator:
        return self._chassis.indicator

    def get_indicator_state(self, identity: str) -> str:
        """Return Off, Lit or Blinking."""
        if not self._light.is_lit:
            return 'Off'
        return 'Lit' if self._light.until is None else 'Blinking'

    def set_indicator_state(self, identity: str, state: str) -> None:
        """Light it until further notice, or put it out."""
        if state not in ('Lit', 'Blinking', 'Off'):
            raise error.BadRequest(f'Indicator state {state} is unknown')
        self._light.light(0 if state == 'Off' else None)
