# SPDX-License-Identifier: Apache-2.0
"""Emulated BMCs as test fixtures: real sockets on 127.0.0.1, any port.

::

    bmc = self.useFixture(EmulatedIpmi(power='off'))
    node = self.enroll(driver_info=bmc.driver_info())
    ...
    self.assertEqual('on', bmc.power)

They run in threads of the test's own process and take milliseconds to start
(the first Redfish one imports sushy-tools: about two seconds). Faults are
fields of `bmc.faults`: off, wrong_password, drop_percent, delay_s.
"""

import uuid
from typing import Any

import fixtures

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import faults as faults_room
from zsbm_ironic.lab.emulator import ipmi, redfish, sensors
from zsbm_ironic.lab.emulator import service as services

ADDRESS = '127.0.0.1'
USERNAME = 'admin'
PASSWORD = 'password'  # noqa: S105 - of emulated BMCs only

_DISK_BYTES = 64 * 2**30


class _EmulatedBmc(fixtures.Fixture):
    """What both protocols have in common."""

    service: services.Service
    chassis: chassis_room.MemoryChassis

    def __init__(
        self,
        power: str = 'off',
        *,
        name: str = 'metal',
        username: str = USERNAME,
        password: str = PASSWORD,
        macs: tuple[str, ...] = ('52:54:00:12:34:56',),
        uefi: bool = True,
        parts: tuple[sensors.Part, ...] = (),
        **asset: Any,
    ) -> None:
        """Describe a BMC; `setUp` starts it.

        :param power: 'on' or 'off' to begin with.
        :param parts: what it has beside sensors.SENSORS; over IPMI alone.
        :param asset: further fields of `chassis.Asset`, as manufacturer,
            manufacturer_id, product.
        """
        super().__init__()
        self.username = username
        self.password = password
        self._is_on = power == 'on'
        self._parts = parts
        self._asset = chassis_room.Asset(
            name=name,
            uuid=uuid.uuid4(),
            macs=macs,
            uefi=uefi,
            disks=(
                chassis_room.DiskInfo('disk0', 'nvme', _DISK_BYTES, 'ZS0001'),
            ),
            **asset,
        )

    def _serve(
        self,
        ipmi_settings: ipmi.IpmiSettings | None = None,
        redfish_settings: redfish.RedfishSettings | None = None,
    ) -> None:
        self.chassis = chassis_room.MemoryChassis(
            self._asset, is_on=self._is_on
        )
        self.chassis.readings.parts = self._parts
        self.service = services.Service(
            self.chassis, ipmi_settings, redfish_settings
        )
        self.addCleanup(self.service.stop)

    @property
    def faults(self) -> faults_room.Faults:
        """Faults, to be switched by the test."""
        return self.service.faults

    @property
    def power(self) -> str:
        """'on' or 'off'."""
        return 'on' if self.chassis.is_on else 'off'

    @power.setter
    def power(self, value: str) -> None:
        self.chassis.is_on = value == 'on'

    @property
    def boot_device(self) -> str:
        """'none', 'pxe', 'http', 'disk', 'cdrom' or 'bios'."""
        return self.chassis.boot.target.value

    @property
    def boot_persistent(self) -> bool:
        """Whether the boot device is that of every boot."""
        return self.chassis.boot.persistent

    @property
    def actions(self) -> list[str]:
        """What the chassis was asked to do, oldest first."""
        return self.chassis.actions

    def set_reading(self, sensor: str, value: float) -> None:
        """Make a sensor read something else, or a part (see `sensors`)."""
        self.chassis.readings.overrides[sensor] = value

    def restart(self, seconds: float) -> None:
        """Restart the BMC: silent for so long, all sessions gone."""
        self.service.restart(seconds)


class EmulatedIpmi(_EmulatedBmc):
    """A BMC that speaks IPMI v2.0 (cipher suites 17 and 3 unless told)."""

    def __init__(
        self,
        power: str = 'off',
        *,
        cipher_suites: tuple[int, ...] = (17, 3),
        kg: str = '',
        max_privilege: int = 4,
        **common: Any,
    ) -> None:
        """Describe a BMC; further arguments as those of both protocols.

        :param kg: key of two-key login.
        :param max_privilege: 2 user, 3 operator, 4 administrator.
        """
        super().__init__(power, **common)
        self._settings = ipmi.IpmiSettings(
            ADDRESS,
            0,
            self.username,
            self.password,
            cipher_suites,
            kg,
            max_privilege,
        )

    def _setUp(self) -> None:
        self._serve(ipmi_settings=self._settings)

    @property
    def port(self) -> int:
        """UDP port."""
        return self._server.port

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return self._server.session_count

    @property
    def _server(self) -> ipmi.Bmc:
        if self.service.ipmi is None:
            raise RuntimeError('this BMC does not speak IPMI')
        return self.service.ipmi

    def driver_info(self, style: str = 'bmc') -> dict[str, Any]:
        """Return driver_info of type zsbm, or with 'ipmi' of upstream's."""
        if style == 'ipmi':
            return {
                'ipmi_address': ADDRESS,
                'ipmi_port': self.port,
                'ipmi_username': self.username,
                'ipmi_password': self.password,
            }
        return {
            'bmc_address': ADDRESS,
            'bmc_port': self.port,
            'bmc_username': self.username,
            'bmc_password': self.password,
            'bmc_protocol': 'ipmi',
        }


class EmulatedRedfish(_EmulatedBmc):
    """A BMC that speaks Redfish over HTTPS with a certificate of its own."""

    def __init__(
        self,
        power: str = 'off',
        *,
        tls: bool = True,
        events: bool = False,
        also_ipmi: bool = False,
        **common: Any,
    ) -> None:
        """Describe a BMC; further arguments as those of both protocols.

        :param tls: False serves plain HTTP.
        :param events: tell of changes of power by itself.
        :param also_ipmi: answer IPMI too, on `ipmi_port`, as most do.
        """
        super().__init__(power, **common)
        self._ipmi_settings = None
        if also_ipmi:
            self._ipmi_settings = ipmi.IpmiSettings(
                ADDRESS, 0, self.username, self.password
            )
        self._settings = redfish.RedfishSettings(
            ADDRESS, 0, self.username, self.password, tls, events
        )

    def _setUp(self) -> None:
        self._serve(self._ipmi_settings, self._settings)

    @property
    def ipmi_port(self) -> int:
        """UDP port, where the BMC answers IPMI too."""
        if self.service.ipmi is None:
            raise RuntimeError('made without also_ipmi')
        return self.service.ipmi.port

    @property
    def port(self) -> int:
        """TCP port."""
        return self._server.port

    @property
    def url(self) -> str:
        """Address with scheme and port."""
        return self._server.url

    @property
    def fingerprint(self) -> str:
        """'sha256:...' of the certificate served now."""
        return self._server.fingerprint

    @property
    def system_path(self) -> str:
        """Path of the one system, as redfish_system_id takes it."""
        return f'/redfish/v1/Systems/{self.chassis.asset.uuid}'

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return self._server.gate.session_count

    @property
    def _server(self) -> redfish.Server:
        if self.service.redfish is None:
            raise RuntimeError('this BMC does not speak Redfish')
        return self.service.redfish

    def change_certificate(self) -> None:
        """Serve another certificate from now on."""
        self._server.change_certificate()

    def driver_info(self, style: str = 'bmc') -> dict[str, Any]:
        """Return driver_info of type zsbm, or with 'redfish' of upstream's.

        Upstream has no pinning: its verification is switched off.
        """
        if style == 'redfish':
            return {
                'redfish_address': self.url,
                'redfish_username': self.username,
                'redfish_password': self.password,
                'redfish_verify_ca': False,
                'redfish_system_id': self.system_path,
            }
        return {
            'bmc_address': ADDRESS,
            'bmc_port': self.port,
            'bmc_username': self.username,
            'bmc_password': self.password,
            'bmc_protocol': 'redfish',
            'bmc_cert_fingerprint': self.fingerprint,
        }
