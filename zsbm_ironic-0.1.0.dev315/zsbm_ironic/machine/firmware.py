# SPDX-License-Identifier: Apache-2.0
"""Which firmware files a machine boots with, and its own variable store.

Paths are those of Debian's ovmf, qemu-efi-aarch64, qemu-efi-riscv64 and
qemu-efi-loongarch64 packages; a directory named by ZSBM_FIRMWARE_DIR is
looked into first, for architectures whose package this host cannot install
(newer_qemu has these).
"""

import dataclasses
import os
import pathlib
import shutil

from zsbm_ironic.machine import exception as machine_exception
from zsbm_ironic.machine import spec as specs

Firmware = specs.Firmware


@dataclasses.dataclass(frozen=True)
class Flash:
    """A pair of flash images: the code, and the variables' first content."""

    code: pathlib.Path
    variables: pathlib.Path
    package: str


_SHARE = pathlib.Path('/usr/share')

_FLASH: dict[tuple[str, Firmware], Flash] = {
    ('x86_64', Firmware.UEFI): Flash(
        _SHARE / 'OVMF/OVMF_CODE_4M.fd',
        _SHARE / 'OVMF/OVMF_VARS_4M.fd',
        'ovmf',
    ),
    # The variables with Microsoft's keys enrolled, so that a signed shim
    # starts and an unsigned loader does not.
    ('x86_64', Firmware.UEFI_SECUREBOOT): Flash(
        _SHARE / 'OVMF/OVMF_CODE_4M.secboot.fd',
        _SHARE / 'OVMF/OVMF_VARS_4M.ms.fd',
        'ovmf',
    ),
    ('aarch64', Firmware.UEFI): Flash(
        _SHARE / 'AAVMF/AAVMF_CODE.fd',
        _SHARE / 'AAVMF/AAVMF_VARS.fd',
        'qemu-efi-aarch64',
    ),
    ('riscv64', Firmware.UEFI): Flash(
        _SHARE / 'qemu-efi-riscv64/RISCV_VIRT_CODE.fd',
        _SHARE / 'qemu-efi-riscv64/RISCV_VIRT_VARS.fd',
        'qemu-efi-riscv64',
    ),
    ('loongarch64', Firmware.UEFI): Flash(
        _SHARE / 'qemu-efi-loongarch64/QEMU_EFI.fd',
        _SHARE / 'qemu-efi-loongarch64/QEMU_VARS.fd',
        'qemu-efi-loongarch64',
    ),
}


def flash_for(spec: specs.MachineSpec) -> Flash | None:
    """Return the flash pair of a machine, or None for built-in SeaBIOS.

    :raises FirmwareMissing: no such firmware for the architecture, or its
        package is not installed here.
    """
    if spec.firmware is Firmware.BIOS and spec.arch == 'x86_64':
        return None
    try:
        flash = _FLASH[spec.arch, spec.firmware]
    except KeyError:
        raise machine_exception.FirmwareMissing(
            machine=spec.name,
            firmware=f'{spec.firmware.value} for {spec.arch}',
            remedy='Declare firmware uefi for this architecture',
        ) from None
    flash = _preferred(flash)
    for path in (flash.code, flash.variables):
        if not path.is_file():
            raise machine_exception.FirmwareMissing(
                machine=spec.name,
                firmware=str(path),
                remedy=f'Install the package {flash.package}',
            )
    return flash


def _preferred(flash: Flash) -> Flash:
    """Take both files from ZSBM_FIRMWARE_DIR where it has the code file."""
    override = os.environ.get('ZSBM_FIRMWARE_DIR')
    if not override:
        return flash
    code = pathlib.Path(override) / flash.code.name
    variables = pathlib.Path(override) / flash.variables.name
    if not (code.is_file() and variables.is_file()):
        return flash
    return Flash(code, variables, flash.package)


def prepare_variables(spec: specs.MachineSpec, flash: Flash) -> None:
    """Give the machine its own variable store unless it has one already."""
    if not spec.variables.exists():
        partial = spec.variables.with_suffix('.new')
        shutil.copyfile(flash.variables, partial)
        partial.replace(spec.variables)
