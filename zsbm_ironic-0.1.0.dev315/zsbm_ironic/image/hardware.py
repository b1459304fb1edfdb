# SPDX-License-Identifier: Apache-2.0
"""What a server is made of, as far as an operating system has to know it.

Devices are named as the kernel names them to find a driver: by modalias
(MODULE_DEVICE_TABLE, modules.alias), for example
`pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00`. So whether an image
has the driver is asked of the image's own tables and never of a list of ours.
Made from a name or a file; nothing here is changed or kept.
"""

import dataclasses
import enum
import json
import pathlib
import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from zsbm_ironic.image import exception


class Firmware(enum.Enum):
    """How a server starts what is on its disk."""

    BIOS = 'bios'
    UEFI = 'uefi'


@dataclasses.dataclass(frozen=True)
class Nic:
    """A network interface.

    :ivar modalias: of its device.
    :ivar mac: lower case, with colons; None where it does not matter.
    """

    modalias: str
    mac: str | None = None


@dataclasses.dataclass(frozen=True)
class Hardware:
    """A server.

    :ivar name: for messages.
    :ivar architecture: as `uname -m` says it, for example x86_64.
    :ivar disk: modaliases on the way from the bus to the root disk.
    :ivar disk_bytes: size of the root disk, None where it does not matter.
    """

    name: str
    architecture: str
    firmware: Firmware
    disk: tuple[str, ...]
    nics: tuple[Nic, ...] = ()
    disk_bytes: int | None = None

    def with_macs(self, macs: Sequence[str]) -> 'Hardware':
        """Return the same server, its interfaces with these MACs in order.

        A MAC more than it has interfaces is one more like the first.
        """
        if not macs:
            return self
        nics = [*self.nics, *self.nics[:1] * (len(macs) - len(self.nics))]
        known = [
            dataclasses.replace(nic, mac=mac)
            for nic, mac in zip(nics, macs, strict=False)
        ]
        return dataclasses.replace(self, nics=(*known, *nics[len(known) :]))

    def first(self, macs: Sequence[str]) -> 'Hardware':
        """Return the same server, interfaces with these MACs before others."""
        order = {mac.lower(): place for place, mac in enumerate(macs)}
        nics = sorted(
            self.nics, key=lambda nic: order.get(nic.mac or '', len(order))
        )
        return dataclasses.replace(self, nics=tuple(nics))

    def data(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return {**dataclasses.asdict(self), 'firmware': self.firmware.value}


# Bus, slot and class of PCI devices that stand for their kind: the class in
# the last three fields is what makes most drivers take a device (PCI Code and
# ID Assignment 1.11: 01.06.01 AHCI, 01.08.02 NVMe, 02.00.00 Ethernet).
_AHCI = 'pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01'
_NVME = 'pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02'
_VIRTIO_PCI = 'pci:v00001AF4d00001042sv00001AF4sd00001100bc01sc00i00'
_VIRTIO_BLK = 'virtio:d00000002v00001AF4'
_VIRTIO_NET = 'virtio:d00000001v00001AF4'
_E1000E = 'pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00'
_SCSI_DISK = 'scsi:t-0x00'

PROFILES = {
    'bios-sata': Hardware(
        'bios-sata',
        'x86_64',
        Firmware.BIOS,
        (_AHCI, _SCSI_DISK),
        (Nic(_E1000E),),
    ),
    'uefi-nvme': Hardware(
        'uefi-nvme', 'x86_64', Firmware.UEFI, (_NVME,), (Nic(_E1000E),)
    ),
    'uefi-nvme-arm64': Hardware(
        'uefi-nvme-arm64', 'aarch64', Firmware.UEFI, (_NVME,), (Nic(_E1000E),)
    ),
    'vm-bios': Hardware(
        'vm-bios',
        'x86_64',
        Firmware.BIOS,
        (_VIRTIO_PCI, _VIRTIO_BLK),
        (Nic(_VIRTIO_NET),),
    ),
    'vm-uefi': Hardware(
        'vm-uefi',
        'x86_64',
        Firmware.UEFI,
        (_VIRTIO_PCI, _VIRTIO_BLK),
        (Nic(_VIRTIO_NET),),
    ),
    'vm-uefi-arm64': Hardware(
        'vm-uefi-arm64',
        'aarch64',
        Firmware.UEFI,
        (_VIRTIO_PCI, _VIRTIO_BLK),
        (Nic(_VIRTIO_NET),),
    ),
}

_MAC = '^([0-9a-f]{2}:){5}[0-9a-f]{2}$'
_MODALIAS = {'type': 'string', 'pattern': r'^[a-z0-9_]+:\S{1,200}$'}
SCHEMA = {
    'type': 'object',
    'additionalProperties': False,
    'required': ['architecture', 'firmware', 'disk'],
    'properties': {
        'architecture': {'enum': ['x86_64', 'aarch64']},
        'firmware': {'enum': [one.value for one in Firmware]},
        'disk': {'type': 'array', 'minItems': 1, 'items': _MODALIAS},
        'disk_bytes': {'type': 'integer', 'minimum': 1},
        'nics': {
            'type': 'array',
            'items': {
                'type': 'object',
                'additionalProperties': False,
                'required': ['modalias'],
                'properties': {
                    'modalias': _MODALIAS,
                    'mac': {'type': 'string', 'pattern': _MAC},
                },
            },
        },
    },
}


def from_data(data: Mapping[str, Any]) -> Hardware:
    """Return what `Hardware.data` made data of; nothing is checked."""
    return Hardware(
        **{
            **data,
            'firmware': Firmware(data['firmware']),
            'disk': tuple(data['disk']),
            'nics': tuple(Nic(**nic) for nic in data['nics']),
        }
    )


def mac(text: str) -> str:
    """Return a MAC in lower case.

    :raises ValueError: it is none.
    """
    if not re.match(_MAC, text.lower()):
        raise ValueError(text)
    return text.lower()


def of(name: str) -> Hardware:
    """Return a profile, or what a TOML or JSON file describes.

    :raises HardwareInvalid: neither, or not as SCHEMA says.
    """
    if name in PROFILES:
        return PROFILES[name]
    path = pathlib.Path(name)
    try:
        text = path.read_text()
        data = (
            json.loads(text) if path.suffix == '.json' else tomllib.loads(text)
        )
    except FileNotFoundError as exc:
        raise exception.HardwareInvalid(
            name=name,
            problem=f'no such file, and none of {", ".join(PROFILES)}.',
        ) from exc
    except (OSError, ValueError) as exc:
        raise exception.HardwareInvalid(name=name, problem=f'{exc}.') from exc
    return from_mapping(name, data)


def from_mapping(name: str, data: Any) -> Hardware:
    """Return what JSON-like data describes.

    :param name: for messages.
    :raises HardwareInvalid: not as SCHEMA says.
    """
    # Not in the deploy ramdisk, which gets what was checked.
    import jsonschema

    try:
        jsonschema.validate(data, SCHEMA)
    except jsonschema.ValidationError as exc:
        place = '.'.join(map(str, exc.absolute_path)) or 'description'
        raise exception.HardwareInvalid(
            name=name, problem=f'{place}: {exc.message}.'
        ) from exc
    return Hardware(
        name=name,
        architecture=data['architecture'],
        firmware=Firmware(data['firmware']),
        disk=tuple(data['disk']),
        nics=tuple(Nic(**nic) for nic in data.get('nics', ())),
        disk_bytes=data.get('disk_bytes'),
    )
