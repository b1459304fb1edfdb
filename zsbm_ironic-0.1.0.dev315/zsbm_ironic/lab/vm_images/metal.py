# SPDX-License-Identifier: Apache-2.0
"""Starts an image on a machine that is like a server: what a VM has not.

Called by tests of the conversion and by the command line of this room. The
image stays as it is: the machine writes to an overlay, which is gone when
`boot` returns.
"""

import dataclasses
import pathlib
import tempfile
import time

from zsbm_ironic.common import process
from zsbm_ironic.image import rehearse
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.vm_images import configure
from zsbm_ironic.machine import machine as machines
from zsbm_ironic.machine import spec as specs

MAC = '52:54:00:76:6d:02'
BOOT_TIMEOUT_S = 600
_MEMORY_MIB = 1024
_LOOK_S = 0.5
_LOG_TAIL_CHARS = 1500
# Firmware, bus of the disk and architecture, by the name of the hardware
# profile.
PLACES = {
    'bios-sata': (specs.Firmware.BIOS, 'sata', 'x86_64'),
    'uefi-nvme': (specs.Firmware.UEFI, 'nvme', 'x86_64'),
    'uefi-nvme-arm64': (specs.Firmware.UEFI, 'nvme', 'aarch64'),
    'vm-bios': (specs.Firmware.BIOS, 'virtio', 'x86_64'),
    'vm-uefi': (specs.Firmware.UEFI, 'virtio', 'x86_64'),
    'vm-uefi-arm64': (specs.Firmware.UEFI, 'virtio', 'aarch64'),
}


def boot(
    image: pathlib.Path, place: str, timeout_s: float = BOOT_TIMEOUT_S
) -> str:
    """Return the ready line with the seconds that it took.

    A guest of QEMU's emulation stops for good now and then, in the middle of
    what its kernel does: it is started once more.

    :param image: qcow2.
    :param place: one of PLACES.
    :param timeout_s: of one start.
    :raises LabProcessFailed: the boot ended elsewhere, or not in time.
    """
    first = _boot(image, place, timeout_s)
    if first.line or not first.stopped:
        return first.result(place, image)
    return _boot(image, place, timeout_s).result(place, image)


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """How a start ended.

    :ivar line: the ready line, '' without one.
    :ivar stopped: its kernel ran, and then nothing came any more.
    """

    line: str
    stopped: bool
    seconds: float
    console: str

    def result(self, place: str, image: pathlib.Path) -> str:
        if self.line:
            return f'{self.seconds:.1f} s: {self.line}'
        raise lab_exception.LabProcessFailed(
            name=f'{place} machine with {image.name}',
            why=f'no "{configure.READY_MARKER}" after {self.seconds:.0f} s',
            log='its console',
            tail=self.console[-_LOG_TAIL_CHARS:],
        )


def _boot(image: pathlib.Path, place: str, timeout_s: float) -> _Outcome:
    firmware, bus, architecture = PLACES[place]
    with tempfile.TemporaryDirectory(prefix='zsbm-metal-') as name:
        work = pathlib.Path(name)
        overlay = work / 'disk.qcow2'
        process.run(
            ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b']
            + [str(image.absolute()), str(overlay)],
            timeout_s=60,
        )
        card = 'virtio-net-pci' if bus == 'virtio' else 'e1000e'
        spec = specs.MachineSpec(
            name=f'metal-{place}',
            firmware=firmware,
            state_dir=work / 'state',
            arch=architecture,
            memory_mib=_MEMORY_MIB,
            disks=(specs.Disk(bus, overlay),),
            nics=(specs.Nic(card, MAC, netdev='user,restrict=on'),),
        )
        machine = machines.Machine(spec)
        machine.set_boot(specs.BootDevice.DISK, persistent=True)
        told = rehearse.Console(spec.serial_log)
        began_s = time.monotonic()
        machine.start()
        try:
            while True:
                text = told.read()
                line = ready_line(text)
                seconds = time.monotonic() - began_s
                if (
                    line
                    or rehearse.ENDS.search(text)
                    or told.is_still
                    or seconds > timeout_s
                ):
                    break
                time.sleep(_LOOK_S)
        finally:
            machine.kill()
        ran = rehearse.stage_of(text) >= rehearse.Stage.KERNEL
        return _Outcome(line, told.is_still and ran, seconds, text)


def ready_line(text: str) -> str:
    """Return the ready line that a console has, '' before it does."""
    # The last is not whole yet.
    for line in text.split('\n')[:-1]:
        _, marker, rest = line.partition(configure.READY_MARKER)
        if marker:
            return f'{marker}{rest}'.strip()
    return ''
