# SPDX-License-Identifier: Apache-2.0
"""A BMC over IPMI v2.0, in process: no ipmitool is started.

What an operator does to a chassis is sent as the bytes of the specification,
so that each completion code is seen; sensors and inventory, where vendors
differ most, are pyghmi's. Made by `bmc.pool`, used by the drivers and by
monitoring, one thread at a time; holds one session slot of the BMC until
`close`.
"""

import math
import re
import time
from typing import Any

from oslo_log import log
from pyghmi import constants as pyghmi_const
from pyghmi import exceptions as pyghmi_exc
from pyghmi.ipmi import command as pyghmi_command
from pyghmi.ipmi.oem import generic

from zsbm_ironic.bmc import base, descriptions, quirks, rmcp
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

LOG = log.getLogger(__name__)

# IPMI v2.0 appendix G; chapter 28 for the chassis commands.
CHASSIS = 0x00
APP = 0x06
STORAGE = 0x0A
GET_STATUS = 0x01
GET_DEVICE_ID = 0x01
GET_SEL_INFO = 0x40
CONTROL = 0x02
IDENTIFY = 0x04
SET_BOOT_OPTIONS = 0x08
GET_BOOT_OPTIONS = 0x09
# Table 28-14: parameter 3 says when the BMC forgets the boot flags, and its
# bit 3 that it does not after 60 s; parameter 5 is the flags.
BOOT_FLAGS_CLEARING = (0x03, 0x08)
BOOT_FLAGS = 0x05
FLAGS_VALID = 0x80
FLAGS_PERSISTENT = 0x40
FLAGS_EFI = 0x20
DEVICE_MASK = 0x3C
# Table 5-2.
UNSUPPORTED_CODES = frozenset({0xC1, 0xC2, 0xCC, 0xD6, 0x80})
BUSY_CODES = frozenset({0xC0, 0xC3, 0xC4, 0xD2})

BOOT_DEVICES = {
    base.BootDevice.PXE: 0x04,
    base.BootDevice.DISK: 0x08,
    base.BootDevice.SAFE: 0x0C,
    base.BootDevice.CDROM: 0x14,
    base.BootDevice.BIOS: 0x18,
}
# IANA private enterprise numbers, for machines whose FRU names nobody.
MAKERS = {
    2: 'IBM',
    11: 'HP',
    343: 'Intel',
    674: 'Dell',
    2011: 'Huawei',
    7244: 'Quanta',
    10876: 'Supermicro',
    19046: 'Lenovo',
    20301: 'IBM',
    47196: 'HPE',
}
# Table 28-4.
CONTROLS = {
    base.PowerAction.OFF: 0,
    base.PowerAction.ON: 1,
    base.PowerAction.RESET: 3,
    base.PowerAction.NMI: 4,
    base.PowerAction.SOFT_OFF: 5,
}
REACHES = {
    base.PowerAction.OFF: base.PowerState.OFF,
    base.PowerAction.ON: base.PowerState.ON,
}
CONFIRM_S = 20.0
# After so long without an answer the chassis is looked at instead.
LOOK_S = 3.0
# All sensors, or the whole inventory, together.
INQUIRY_S = 30.0
BUSY_TRIES = 4
BUSY_WAIT_S = 0.5

_MAC = re.compile(r'(?i)([0-9a-f]{2}:){5}[0-9a-f]{2}\Z')


class _Inventory(pyghmi_command.Command):
    """pyghmi's readings on a session of ours, by the standard only.

    Its vendor modules are left out: some log in to the BMC's web server with
    the same password, where no certificate of ours is checked.
    """

    def __init__(self, session: rmcp.RmcpSession) -> None:
        # Upstream's constructor opens a session of its own.
        self.onlogon = None
        self.bmc = session.bmc
        self._sdrcachedir = None
        self._sdr: descriptions.Descriptions | None = None
        self._oem = generic.OEMHandler(None, None)
        self._oemknown = True
        self._netchannel = None
        self._ipv6support = None
        self.certverify = None
        self.kwargs: dict[str, Any] = {}
        self.ipmi_session = session

    def init_sdr(self) -> descriptions.Descriptions:
        """Return which sensors there are, read once."""
        if self._sdr is None:
            self._sdr = descriptions.Descriptions(self)
        return self._sdr


class IpmiBmc:
    """One logged-in BMC."""

    protocol = base.BmcProtocol.IPMI

    def __init__(
        self,
        credentials: bmc_credentials.Credentials,
        login_s: float | None = None,
    ) -> None:
        """Log in.

        :param login_s: seconds after which a silent BMC is given up.
        :raises BmcUnreachable: silence.
        :raises BmcCredentialsRefused: user or password is wrong.
        :raises BmcUnsupported: no IPMI v2.0.
        """
        self.address = credentials.address
        self.session = rmcp.RmcpSession(
            credentials, rmcp.LOGIN_S if login_s is None else login_s
        )
        self._inventory = _Inventory(self.session)

    @property
    def cipher_suite(self) -> int | None:
        """3 or 17: what the login agreed on."""
        return self.session.cipher_suite

    def _ask(
        self,
        what: str,
        netfn: int,
        command: int,
        *data: int,
        resend: bool = True,
    ) -> bytes:
        """Send a command; its data, or the error that its code means."""
        for tries_left in reversed(range(BUSY_TRIES)):
            code, answer = self.session.request(
                netfn, command, data, resend=resend
            )
            if code == 0:
                return answer
            text = rmcp.completion_text(netfn, command, code)
            if code not in BUSY_CODES:
                break
            # The BMC says that it did nothing, so this is not a blind resend.
            if not tries_left:
                raise exception.BmcBusy(address=self.address, answer=text)
            time.sleep(BUSY_WAIT_S)
        kind = (
            exception.BmcUnsupported
            if code in UNSUPPORTED_CODES
            else exception.BmcCommandFailed
        )
        raise kind(address=self.address, what=what, answer=text)

    def get_power(self) -> base.PowerState:
        """Ask for the chassis status."""
        status = self._ask('chassis status', CHASSIS, GET_STATUS)
        found = power_in((0, status))
        if found is None:
            raise exception.BmcCommandFailed(
                address=self.address,
                what='chassis status',
                answer='an empty answer',
            )
        return found

    def set_power(self, action: base.PowerAction) -> None:
        """Send a chassis control; does not wait for its effect.

        A lost packet is never answered by sending again blindly: power on
        and off are repeated only after the chassis was seen in the other
        state, everything else is sent once.

        :raises BmcUnconfirmed: sent once, and no answer.
        """
        target = REACHES.get(action)
        deadline = time.monotonic() + CONFIRM_S
        while True:
            try:
                with self.session.within(LOOK_S if target else CONFIRM_S):
                    self._ask(
                        action.value,
                        CHASSIS,
                        CONTROL,
                        CONTROLS[action],
                        resend=False,
                    )
                return
            except exception.BmcUnreachable as exc:
                if target and self.get_power() is target:
                    return
                if not target or time.monotonic() > deadline:
                    raise exception.BmcUnconfirmed(
                        address=self.address, action=action.value
                    ) from exc

    def set_boot_device(
        self,
        setting: base.BootSetting,
        *,
        quirk: quirks.Quirk = quirks.NONE,
        keep_past_timeout: bool = True,
    ) -> None:
        """Set the boot flags (section 28.12, table 28-14).

        :param setting: what to boot from; its `efi` sets the EFI bit.
        :param quirk: how this maker's BMCs differ.
        :param keep_past_timeout: tell the BMC first not to forget the flags
            after 60 s; a BMC without that parameter is left alone.
        """
        if setting.device is None:
            raise ValueError('a boot device is needed')
        if keep_past_timeout and not quirk.keeps_boot_flags:
            try:
                self._ask(
                    'boot flag timeout',
                    CHASSIS,
                    SET_BOOT_OPTIONS,
                    *BOOT_FLAGS_CLEARING,
                )
            except exception.BmcUnsupported as exc:
                LOG.info('%s Boot flags may be lost after 60 s.', exc)
        efi = bool(setting.efi)
        selectors = BOOT_DEVICES | dict(quirk.boot_devices(efi))
        flags = FLAGS_VALID
        flags |= FLAGS_PERSISTENT if setting.persistent else 0
        flags |= FLAGS_EFI if efi else 0
        self._ask(
            'set boot device',
            CHASSIS,
            SET_BOOT_OPTIONS,
            BOOT_FLAGS,
            flags,
            selectors[setting.device],
            0,
            0,
            0,
        )

    def get_boot_device(
        self, quirk: quirks.Quirk = quirks.NONE
    ) -> base.BootSetting:
        """Return the boot flags (section 28.13).

        :param quirk: how this maker's BMCs differ.
        """
        answer = self._ask(
            'get boot device', CHASSIS, GET_BOOT_OPTIONS, BOOT_FLAGS, 0, 0
        )
        # Bit 7 of byte 2: the parameter is locked or invalid.
        if len(answer) < 4 or answer[1] & 0x80 or not answer[2] & FLAGS_VALID:
            return base.BootSetting(None, None)
        efi = bool(answer[2] & FLAGS_EFI)
        selectors = {number: device for device, number in BOOT_DEVICES.items()}
        for device, number in quirk.boot_devices(efi).items():
            selectors[number] = device
        return base.BootSetting(
            selectors.get(answer[3] & DEVICE_MASK),
            bool(answer[2] & FLAGS_PERSISTENT),
            efi,
        )

    def identify(self, lit: bool) -> None:
        """Light the identify LED until told otherwise, or put it out."""
        data = (0, 1) if lit else (0,)
        self._ask('the identify LED', CHASSIS, IDENTIFY, *data)

    def is_identifying(self) -> bool | None:
        """Return whether the LED is lit; None where the BMC cannot say.

        Get Chassis Status, table 28-3: bit 6 of byte 3 says whether bits 5:4
        are the identify state.
        """
        status = self._ask('chassis status', CHASSIS, GET_STATUS)
        if len(status) < 3 or not status[2] & 0x40:
            return None
        return bool(status[2] & 0x30)

    def sensors(self) -> tuple[base.SensorReading, ...]:
        """Read each sensor of the SDR repository; () for a BMC without."""
        readings = self._pyghmi(
            'sensors', lambda: list(self._inventory.get_sensor_data())
        )
        return tuple(_reading(found) for found in readings or ())

    def health(self) -> base.Health:
        """Return the worst sensor state; UNKNOWN without sensors."""
        return base.worst([reading.health for reading in self.sensors()])

    def logged_events(self) -> int | None:
        """Count the entries of the SEL (section 31.2)."""
        try:
            info = self._ask('event log', STORAGE, GET_SEL_INFO)
        except exception.GiveUp as exc:
            LOG.debug('%s', exc)
            return None
        return int.from_bytes(info[1:3], 'little') if len(info) > 2 else None

    def vendor(self) -> base.VendorInfo:
        """Return what the FRU of the system says, as far as there is one."""
        # Get Device ID, section 20.1: firmware and the maker's IANA number.
        device = self._ask('device id', APP, GET_DEVICE_ID)
        firmware = maker = None
        if len(device) >= 9:
            firmware = f'{device[2] & 0x7F}.{device[3]:02x}'
            maker = MAKERS.get(int.from_bytes(device[6:9], 'little'))
        fru = self._pyghmi(
            'inventory',
            lambda: self._inventory.get_inventory_of_component('System'),
        )
        fru = fru or {}

        def text(*names: str) -> str | None:
            values = (str(fru.get(name) or '').strip() for name in names)
            return next((value for value in values if value), None)

        return base.VendorInfo(
            manufacturer=maker or text('Manufacturer', 'Board manufacturer'),
            model=text('Product name', 'Board product name'),
            serial=text('Serial Number', 'Chassis serial number'),
            bmc_firmware=firmware,
        )

    def macs(self) -> tuple[str, ...]:
        """Return MAC addresses that the inventory lists; most list none."""
        inventory = self._pyghmi(
            'inventory', lambda: list(self._inventory.get_inventory())
        )
        found = []
        for _name, fields in inventory or ():
            for key, value in (fields or {}).items():
                values = value if isinstance(value, list) else [value]
                found += [
                    str(one).lower()
                    for one in values
                    if 'mac' in key.lower() and _MAC.match(str(one))
                ]
        return tuple(dict.fromkeys(found))

    def secure_boot(self) -> bool | None:
        """Return None: IPMI cannot tell."""
        return None

    def close(self) -> None:
        """Log out; safe to call twice and on a dead session."""
        self.session.logout()

    def _pyghmi(self, what: str, ask: Any) -> Any:
        """Run one of pyghmi's inquiries; None where there is nothing.

        Whatever a vendor's record makes it trip over is logged and taken as
        nothing; a BMC that stopped answering is an error.
        """
        try:
            with self.session.within(INQUIRY_S):
                return ask()
        except pyghmi_exc.IpmiException as exc:
            if self.session.lost:
                raise self.session.silence(rmcp.COMMAND_S) from exc
            LOG.info('BMC %s has no %s: %s', self.address, what, exc)
        except exception.ZsbmError:
            raise
        except Exception as exc:
            LOG.warning(
                'BMC %s: its %s cannot be read: %r', self.address, what, exc
            )
        return None


def power_in(answer: tuple[int, bytes] | None) -> base.PowerState | None:
    """Return bit 0 of an answer to Get Chassis Status (section 28.2).

    :param answer: completion code and data; None where there was none.
    """
    if answer is None or answer[0] != 0 or not answer[1]:
        return None
    return base.PowerState.ON if answer[1][0] & 1 else base.PowerState.OFF


def _reading(found: Any) -> base.SensorReading:
    value = found.value
    if value is not None and not math.isfinite(value):
        value = None
    health = found.health
    if found.unavailable or health is None:
        state = base.Health.UNKNOWN
    elif health >= pyghmi_const.Health.Critical:
        state = base.Health.CRITICAL
    elif health >= pyghmi_const.Health.Warning:
        state = base.Health.WARNING
    else:
        state = base.Health.OK
    unit = (found.units or '').replace('°', '').strip() or None
    return base.SensorReading(
        name=found.name,
        kind=found.type or 'Unknown',
        value=value,
        unit=None if value is None else unit,
        health=state,
        states=tuple(str(word) for word in found.states or ()),
    )
