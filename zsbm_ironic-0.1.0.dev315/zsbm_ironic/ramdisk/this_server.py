# SPDX-License-Identifier: Apache-2.0
"""The server that the ramdisk runs on, as `image` has to know it.

Read from /sys by the in-band step that makes an image boot here. Devices are
told by their modalias, as udev finds a driver for them.
"""

import os
import pathlib
from collections.abc import Iterable, Iterator

from zsbm_ironic.image import hardware

ROOT = pathlib.Path('/')
# A bridge is on the way to every device of PCI Express; the firmware has it
# running (PCI Code and ID Assignment 1.11: class 06).
_BRIDGE = 'bc06'


def hardware_of(
    disk: str, macs: Iterable[str], root: pathlib.Path = ROOT
) -> hardware.Hardware:
    """Return what this server is made of.

    :param disk: device that the image is on, for example `/dev/nvme0n1`.
    :param macs: of the NICs that come first, in their order.
    :param root: where /sys hangs.
    """
    uefi = (root / 'sys/firmware/efi').is_dir()
    return hardware.Hardware(
        name='this server',
        architecture=os.uname().machine,
        firmware=hardware.Firmware.UEFI if uefi else hardware.Firmware.BIOS,
        disk=tuple(dict.fromkeys(_of_disk(root, pathlib.PurePath(disk).name))),
        nics=tuple(_nics(root, [mac.lower() for mac in macs])),
    )


def _of_disk(root: pathlib.Path, name: str) -> Iterator[str]:
    """Yield the modaliases on the way from a bus to a disk.

    Those of all its members, where it is a RAID of the kernel.
    """
    block = root / 'sys/class/block' / name
    members = sorted(path.name for path in (block / 'slaves').glob('*'))
    for member in members:
        yield from _of_disk(root, member)
    if members:
        return
    places = [block.resolve()]
    # With several paths, an NVMe disk hangs on a subsystem, its controllers
    # on their buses.
    subsystem = (block / 'device').resolve()
    if 'nvme-subsystem' in subsystem.parts:
        places = [path.resolve() for path in sorted(subsystem.glob('nvme*'))]
    for place in places:
        for folder in (place, *place.parents):
            alias = _text(folder / 'modalias')
            if alias and not (alias.startswith('pci:') and _BRIDGE in alias):
                yield alias


def _nics(root: pathlib.Path, first: list[str]) -> Iterator[hardware.Nic]:
    found = {}
    for path in sorted((root / 'sys/class/net').glob('*')):
        mac, alias = _text(path / 'address'), _text(path / 'device/modalias')
        if mac and alias:
            found[mac.lower()] = alias
    for mac in dict.fromkeys((*first, *found)):
        if mac in found:
            yield hardware.Nic(found[mac], mac)


def _text(path: pathlib.Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
