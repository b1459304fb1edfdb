# SPDX-License-Identifier: Apache-2.0
"""The declared machines of a lab: read from a small TOML file.

Called by `up` and `status`. A declaration says what a person would order
(firmware, disk, NICs, memory, BMC protocol); addresses, MACs and TAP names
follow from the place in the file, passwords are drawn once and kept in the
lab's state folder, readable by root alone.
"""

import dataclasses
import importlib.resources
import ipaddress
import json
import pathlib
import secrets
import tomllib
from typing import Any

from zsbm_ironic.common import whole_file
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import layout
from zsbm_ironic.machine import spec

DEFAULTS = importlib.resources.files('zsbm_ironic.lab') / 'machines.toml'
PROTOCOLS = ('redfish', 'ipmi')
BMC_USERNAME = 'operator'
# IPMI 2.0 section 22.30: a password has at most 20 bytes.
PASSWORD_BYTES = 12


@dataclasses.dataclass(frozen=True)
class DeclaredDisk:
    """One disk to make: its bus and size in GiB."""

    bus: str
    size_gib: int


@dataclasses.dataclass(frozen=True)
class DeclaredNic:
    """One NIC.

    :ivar model: as QEMU names it.
    :ivar boot_rom: False: the firmware itself boots it.
    :ivar relayed: on the subnet behind the DHCP relay.
    """

    model: str
    mac: str
    tap: str
    boot_rom: bool
    relayed: bool


@dataclasses.dataclass(frozen=True)
class Declaration:
    """One machine as declared, with the addresses that follow from it."""

    name: str
    firmware: spec.Firmware
    arch: str
    memory_mib: int
    cpus: int
    protocol: str
    bmc_address: str
    bmc_password: str = dataclasses.field(repr=False)
    disks: tuple[DeclaredDisk, ...]
    nics: tuple[DeclaredNic, ...]

    @property
    def address(self) -> str:
        """The address that its config drive gives a delivered server."""
        place = int(self.bmc_address.rpartition('.')[2]) - layout.FIRST_BMC
        return f'{layout.SERVER_NETWORK}{layout.FIRST_SERVER + place}'

    @property
    def bmc_port(self) -> int:
        """The port that the protocol stands on (IANA)."""
        return 443 if self.protocol == 'redfish' else 623


def load(
    path: pathlib.Path | None,
    state: pathlib.Path,
    bmc_network: str = layout.BMC_NETWORK,
) -> list[Declaration]:
    """Read the declared machines.

    :param path: the TOML file; None: the two default machines.
    :param state: folder of the lab, where drawn passwords are kept.
    :param bmc_network: that the BMCs have their addresses in.
    :raises LabSettingInvalid: the file is not as documented.
    """
    entries = _entries(path)
    passwords = _passwords(
        state / 'credentials.json', [entry['name'] for entry in entries]
    )
    machines = []
    for place, entry in enumerate(entries):
        try:
            address = _bmc_address(place, bmc_network)
            machines.append(_declaration(place, entry, address, passwords))
        except (KeyError, TypeError, ValueError) as exc:
            raise lab_exception.LabSettingInvalid(
                where=path or DEFAULTS,
                what=f'machine {entry["name"]}: {exc!r}',
            ) from exc
    return machines


def names(path: pathlib.Path | None) -> list[str]:
    """Return the names of the declared machines; draws no passwords.

    :raises LabSettingInvalid: the file is not as documented.
    """
    return [entry['name'] for entry in _entries(path)]


def _entries(path: pathlib.Path | None) -> list[dict[str, Any]]:
    source = path or DEFAULTS
    try:
        entries = tomllib.loads(source.read_text())['machine']
        return [{**entry, 'name': str(entry['name'])} for entry in entries]
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as exc:
        raise lab_exception.LabSettingInvalid(
            where=source, what=f'no list of [[machine]] entries: {exc}'
        ) from exc


def _bmc_address(place: int, network: str) -> str:
    """Return the address of the BMC of the machine at a place.

    :raises ValueError: the network has no such address.
    """
    found = ipaddress.IPv4Network(network)
    number = layout.FIRST_BMC + place
    if number >= found.num_addresses - 1:
        raise ValueError(f'{network} has no address for BMC {place}')
    return str(found[number])


def _declaration(
    place: int,
    entry: dict[str, Any],
    bmc_address: str,
    passwords: dict[str, str],
) -> Declaration:
    protocol = entry.get('bmc', 'redfish')
    if protocol not in PROTOCOLS:
        raise ValueError(f'bmc is {protocol!r}, not one of {PROTOCOLS}')
    return Declaration(
        name=entry['name'],
        firmware=spec.Firmware(entry.get('firmware', 'uefi')),
        arch=str(entry.get('arch', 'x86_64')),
        memory_mib=int(entry.get('memory_mib', 3072)),
        cpus=int(entry.get('cpus', 1)),
        protocol=protocol,
        bmc_address=bmc_address,
        bmc_password=passwords[entry['name']],
        disks=tuple(
            DeclaredDisk(str(disk['bus']), int(disk['size_gib']))
            for disk in entry['disk']
        ),
        nics=tuple(
            DeclaredNic(
                model=str(nic.get('model', 'e1000e')),
                mac=f'52:54:00:5a:{place:02x}:{number:02x}',
                tap=f'tap{place}.{number}',
                boot_rom=bool(nic.get('boot_rom', True)),
                relayed=bool(nic.get('relayed', False)),
            )
            for number, nic in enumerate(entry['nic'])
        ),
    )


def _passwords(path: pathlib.Path, names: list[str]) -> dict[str, str]:
    """Return a password per name; those drawn before stay as they are."""
    try:
        known: dict[str, str] = json.loads(path.read_text())
    except OSError:
        known = {}
    missing = [name for name in names if name not in known]
    if missing:
        known |= {
            name: secrets.token_urlsafe(PASSWORD_BYTES) for name in missing
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, json.dumps(known))
    return known
