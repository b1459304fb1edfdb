# SPDX-License-Identifier: Apache-2.0
"""One emulated BMC: a chassis, the protocols that serve it, its faults.

Made by the process (`python -m zsbm_ironic.lab.emulator`) from a file and by
test fixtures from arguments. Nothing of it outlives `stop` but the machine.
"""

import json
import logging
import pathlib
from typing import Any

from zsbm_ironic import machine as machine_room
from zsbm_ironic.common import process
from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import config as configs
from zsbm_ironic.lab.emulator import faults as faults_room
from zsbm_ironic.lab.emulator import ipmi, qemu, redfish

LOG = logging.getLogger(__name__)

_IMAGE_INFO_TIMEOUT_S = 30


class Service:
    """Serves one chassis by IPMI, Redfish or both."""

    def __init__(
        self,
        chassis: chassis_room.Chassis,
        ipmi_settings: ipmi.IpmiSettings | None = None,
        redfish_settings: redfish.RedfishSettings | None = None,
    ) -> None:
        self.chassis = chassis
        self.faults = faults_room.Faults()
        self.ipmi: ipmi.Bmc | None = None
        self.redfish: redfish.Server | None = None
        try:
            if ipmi_settings is not None:
                self.ipmi = ipmi.Bmc(chassis, ipmi_settings, self.faults)
            if redfish_settings is not None:
                self.redfish = redfish.Server(
                    chassis, redfish_settings, self.faults
                )
        except BaseException:
            self.stop()
            raise

    def restart(self, seconds: float) -> None:
        """Be silent for a while and forget all sessions."""
        self.faults.silence(seconds)
        if self.ipmi is not None:
            self.ipmi.restart(seconds)
        if self.redfish is not None:
            self.redfish.restart()

    def change_certificate(self) -> None:
        """Serve Redfish with a new certificate, as after a factory reset."""
        if self.redfish is not None:
            self.redfish.change_certificate()

    def status(self) -> dict[str, Any]:
        """Return what there is to know, as plain JSON values."""
        chassis = self.chassis
        found: dict[str, Any] = {
            'name': chassis.asset.name,
            'uuid': str(chassis.asset.uuid),
            'power': 'on' if chassis.is_on else 'off',
            'boot': {
                'target': chassis.boot.target.value,
                'persistent': chassis.boot.persistent,
            },
            'identify': chassis.indicator.is_lit,
            'last_error': chassis.last_error,
            'faults': {
                'off': self.faults.off,
                'wrong_password': self.faults.wrong_password,
                'drop_percent': self.faults.drop_percent,
                'delay_s': self.faults.delay_s,
            },
        }
        if self.ipmi is not None:
            found['ipmi'] = {
                'address': self.ipmi.settings.address,
                'port': self.ipmi.port,
                'sessions': self.ipmi.session_count,
            }
        if self.redfish is not None:
            found['redfish'] = {
                'address': self.redfish.settings.address,
                'port': self.redfish.port,
                'url': self.redfish.url,
                'fingerprint': self.redfish.fingerprint,
                'sessions': self.redfish.gate.session_count,
            }
        return found

    def stop(self) -> None:
        """Stop serving; the machine stays as it is."""
        if self.redfish is not None:
            self.redfish.stop()
        if self.ipmi is not None:
            self.ipmi.stop()
        self.chassis.close()


def from_config(config: configs.Config) -> Service:
    """Return a service, serving, as the configuration says."""
    spec = config.machine
    chassis: chassis_room.Chassis
    if spec is None:
        asset = chassis_room.Asset(
            name=config.name,
            uuid=machine_room.uuid_of(config.name),
            **config.asset,
        )
        chassis = chassis_room.MemoryChassis(asset)
    else:
        chassis = qemu.QemuChassis(
            machine_room.Machine(spec), _asset(spec, config.asset)
        )
    return Service(chassis, config.ipmi, config.redfish)


def _asset(
    spec: machine_room.MachineSpec, extra: dict[str, Any]
) -> chassis_room.Asset:
    """Describe a machine as its label and its inventory do."""
    return chassis_room.Asset(
        name=spec.name,
        uuid=spec.uuid,
        macs=tuple(nic.mac for nic in spec.nics),
        cpus=spec.cpus,
        memory_mib=spec.memory_mib,
        disks=tuple(
            chassis_room.DiskInfo(
                f'disk{number}',
                disk.bus,
                _size_bytes(disk.path, disk.format),
                spec.disk_serial(number),
            )
            for number, disk in enumerate(spec.disks)
        ),
        uefi=spec.firmware.is_uefi,
        secure_boot=spec.firmware is machine_room.Firmware.UEFI_SECUREBOOT,
        **extra,
    )


def _size_bytes(path: pathlib.Path, image_format: str) -> int:
    # -U: a running machine holds the lock of its image.
    done = process.run(
        ['qemu-img', 'info', '-U', '-f', image_format, '--output=json', path],
        timeout_s=_IMAGE_INFO_TIMEOUT_S,
    )
    return int(json.loads(done.stdout)['virtual-size'])
