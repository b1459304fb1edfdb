# SPDX-License-Identifier: Apache-2.0
"""Starts a VM image as the virtio VM that it was made for.

Called by the command line of this room. Writes nothing to the image; the VM
and its files are gone when `boot` returns.
"""

import pathlib
import shutil
import tempfile
import time

from zsbm_ironic.common import apt, process
from zsbm_ironic.image import rehearse
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.vm_images import (
    build,
    configure,
    metal,
    plan,
    specimens,
)

BOOT_TIMEOUT_S = 600
MAC = '52:54:00:76:6d:01'
_SLOT = 3
_MEMORY_MIB = 1024
_LOOK_S = 0.5
_LOG_TAIL_CHARS = 1500
_OVMF = pathlib.Path('/usr/share/OVMF')
_AAVMF = pathlib.Path('/usr/share/AAVMF')


def firmwares(specimen: specimens.Specimen) -> tuple[specimens.Boot, ...]:
    """Return which of BIOS and UEFI the image is for."""
    if specimen.boot is specimens.Boot.HYBRID:
        return specimens.Boot.BIOS, specimens.Boot.UEFI
    return (specimen.boot,)


def boot(
    image: build.VmImage,
    firmware: specimens.Boot,
    timeout_s: float = BOOT_TIMEOUT_S,
) -> str:
    """Return the ready line with the seconds that it took.

    :param firmware: BIOS or UEFI.
    :raises LabProcessFailed: the line did not come in time, or QEMU ended.
    """
    specimen = image.specimen
    with tempfile.TemporaryDirectory(prefix='zsbm-vm-') as name:
        work = pathlib.Path(name)
        argv = command(image, firmware, work)
        console = work / 'console.log'
        began_s = time.monotonic()
        qemu = process.start(argv, log=work / 'qemu.log')
        try:
            while time.monotonic() - began_s < timeout_s:
                if line := metal.ready_line(rehearse.console(console)):
                    return f'{time.monotonic() - began_s:.1f} s: {line}'
                if qemu.poll() is not None:
                    break
                time.sleep(_LOOK_S)
        finally:
            qemu.kill()
            qemu.wait()
        ended = 'QEMU ended' if qemu.returncode != -9 else 'time is up'
        raise lab_exception.LabProcessFailed(
            name=f'VM of {specimen.name}',
            why=f'no "{configure.READY_MARKER}", {ended}',
            log='the console and of QEMU',
            tail=rehearse.console(console)[-_LOG_TAIL_CHARS:]
            + rehearse.console(work / 'qemu.log'),
        )


def command(
    image: build.VmImage, firmware: specimens.Boot, work: pathlib.Path
) -> list[str]:
    """Return QEMU's arguments; its other files are written to `work`.

    The card is in a slot of that number, from which udev makes ens3.
    """
    arm = image.specimen.system.architecture == 'arm64'
    qemu = 'qemu-system-aarch64' if arm else 'qemu-system-x86_64'
    apt.require(
        qemu, 'qemu-system-arm' if arm else 'qemu-system-x86', 'the VM'
    )
    machine = ['-machine', 'virt', '-cpu', 'cortex-a57']
    if not arm:
        # With ACPI's hot-plug the slots of ports have no numbers.
        machine = ['-machine', 'q35', '-global']
        machine += ['ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off']
    argv = [
        *(qemu, *machine, '-m', str(_MEMORY_MIB), '-nodefaults'),
        *('-display', 'none', '-no-reboot'),
        *('-serial', f'file:{work / "console.log"}'),
        *(
            '-drive',
            f'if=none,id=disk,format=qcow2,snapshot=on,file={image.path}',
        ),
        *('-device', 'virtio-blk-pci,drive=disk,bootindex=2'),
        *('-netdev', 'user,id=net,restrict=on'),
        *('-device', f'pcie-root-port,id=root3,chassis=1,slot={_SLOT}'),
        *(
            '-device',
            f'virtio-net-pci,netdev=net,bus=root3,mac={MAC},romfile=',
        ),
    ]
    if firmware is specimens.Boot.UEFI:
        argv += _uefi(arm, work)
        if image.specimen.boot is specimens.Boot.UEFI:
            argv += _boot_entry(image, work)
    return argv


def _uefi(arm: bool, work: pathlib.Path) -> list[str]:
    code, variables = _OVMF / 'OVMF_CODE_4M.fd', _OVMF / 'OVMF_VARS_4M.fd'
    if arm:
        code, variables = _AAVMF / 'AAVMF_CODE.fd', _AAVMF / 'AAVMF_VARS.fd'
    own = work / 'variables.fd'
    shutil.copyfile(variables, own)
    return [
        '-drive',
        f'if=pflash,format=raw,readonly=on,file={code}',
        '-drive',
        f'if=pflash,format=raw,file={own}',
    ]


def _boot_entry(image: build.VmImage, work: pathlib.Path) -> list[str]:
    """Stand in for the entry in the VM's NVRAM: a disk that starts shim.

    It has the image's own GRUB, told to start shim where that is found.
    """
    suffix = 'aa64' if image.specimen.system.architecture == 'arm64' else 'x64'
    raw = work / 'disk.raw'
    process.run(
        ['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw']
        + [str(image.path), str(raw)],
        timeout_s=300,
    )
    esp = plan.find(image.specimen, plan.Use.ESP)
    offset_bytes = esp.start_mib * specimens.MIB if esp else 0
    folder = work / 'entry'
    (folder / 'EFI' / 'BOOT').mkdir(parents=True)
    (folder / 'EFI' / 'debian').mkdir()
    process.run(
        ['mcopy', '-i', f'{raw}@@{offset_bytes}']
        + [f'::EFI/debian/grub{suffix}.efi']
        + [str(folder / 'EFI' / 'BOOT' / f'BOOT{suffix.upper()}.EFI')],
        timeout_s=60,
    )
    raw.unlink()
    shim = f'/EFI/debian/shim{suffix}.efi'
    (folder / 'EFI' / 'debian' / 'grub.cfg').write_text(
        f'search --no-floppy --file --set=root {shim}\n'
        f'chainloader {shim}\nboot\n'
    )
    return [
        '-drive',
        f'if=none,id=entry,format=raw,readonly=on,file=fat:{folder}',
        '-device',
        'virtio-blk-pci,drive=entry,bootindex=1',
    ]
