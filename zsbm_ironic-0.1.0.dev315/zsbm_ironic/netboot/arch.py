# SPDX-License-Identifier: Apache-2.0
"""Which loader a machine is given, by what its firmware says it is.

Owns the table of processor architecture types (DHCP option 93) and the names
of loaders in the TFTP and HTTP roots. Called by the renderer of dnsmasq's
configuration and, to put the loaders in place, by the boot interfaces.

Source: IANA registry "Processor Architecture Types" (RFC 5970, section 3.3),
https://www.iana.org/assignments/dhcpv6-parameters. Firmware that is older
than the registry's correction calls x86-64 UEFI 9 (EBC), so 9 means it too.
"""

import dataclasses
import pathlib
from collections.abc import Mapping

from zsbm_ironic.common import exception, whole_file

DIRECTORY = 'zsbm-loaders'


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One kind of firmware and processor.

    :ivar name: key of option [zsbm_netboot]loaders.
    :ivar tftp_codes: option 93 of firmware that boots by PXE.
    :ivar http_codes: option 93 of firmware that boots by HTTP.
    :ivar suffix: how the loader's file name ends; UEFI wants .efi.
    """

    name: str
    tftp_codes: tuple[int, ...]
    http_codes: tuple[int, ...]
    suffix: str = '.efi'

    @property
    def path(self) -> str:
        """Path of the loader below the TFTP and the HTTP root."""
        return f'{DIRECTORY}/{self.name}{self.suffix}'


ARCHITECTURES = (
    Architecture('x86-bios', (0,), (20,), '.kpxe'),
    Architecture('x86-32-uefi', (6,), (15,)),
    Architecture('x86-64-uefi', (7, 9), (16, 17)),
    Architecture('arm32-uefi', (10,), (18,)),
    Architecture('arm64-uefi', (11,), (19,)),
    Architecture('riscv64-uefi', (27,), (28,)),
    Architecture('loongarch64-uefi', (39,), (40,)),
)


def by_name(name: str) -> Architecture:
    """Return the architecture that an operator called `name`.

    :raises NetbootSettingInvalid: no such architecture.
    """
    for architecture in ARCHITECTURES:
        if architecture.name == name:
            return architecture
    known = ', '.join(item.name for item in ARCHITECTURES)
    raise exception.NetbootSettingInvalid(
        option='loaders',
        problem=f'{name!r} is no architecture. Known are {known}.',
    )


def place_loaders(
    loaders: Mapping[str, str], root: pathlib.Path
) -> list[Architecture]:
    """Copy each loader that this host has below `root`, if it changed.

    :param loaders: architecture name to path of the loader on this host.
    :param root: TFTP or HTTP root; read by other users, hence 0755 and 0644.
    :returns: architectures whose loader is absent on this host.
    :raises NetbootSettingInvalid: a name that is no architecture.
    """
    directory = root / DIRECTORY
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    absent = []
    for name, source in sorted(loaders.items()):
        architecture = by_name(name)
        try:
            content = pathlib.Path(source).read_bytes()
        except OSError:
            absent.append(architecture)
            continue
        target = root / architecture.path
        if target.is_file() and target.read_bytes() == content:
            continue
        whole_file.write(target, content, mode=0o644)
    return absent
