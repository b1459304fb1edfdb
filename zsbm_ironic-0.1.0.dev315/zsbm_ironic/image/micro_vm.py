# SPDX-License-Identifier: Apache-2.0
"""A machine that is started for one image, and gone when it is adapted.

For file systems that only a kernel writes: a hostile one harms a guest
without network, run by whoever called us. The guest is the deploy ramdisk
with a task in it; its answer comes by its second serial port.
"""

import contextlib
import dataclasses
import json
import pathlib
import stat
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from zsbm_ironic.image import (
    adapt,
    editing,
    exception,
    hardware,
    inside,
    kits,
    newc,
    packed_kits,
    supplies,
    verdict,
)
from zsbm_ironic.machine import machine, spec

MEMORY_MIB = 1024
LIMIT_S = 600.0
_LOOK_S = 0.25
_TAIL_CHARS = 600
_DISK = '/dev/vda'
_KIT = '/dev/vdb'


@dataclasses.dataclass(frozen=True)
class Guest:
    """What is started.

    :ivar kernel: of the deploy ramdisk.
    :ivar initramfs: the deploy ramdisk.
    """

    kernel: pathlib.Path
    initramfs: pathlib.Path


def run(
    raw: pathlib.Path,
    wanted: Sequence[hardware.Hardware],
    guest: Guest,
    have: supplies.Supplies,
    *,
    speaks: bool = False,
) -> adapt.Report:
    """Adapt a raw disk; what `adapt.adapt` does, where a kernel may mount.

    Which kernel an image wants is known only in the machine: it asks, and is
    started once more with it.

    :param have: gives that kernel.
    :raises NotConverted: it cannot be done, and why.
    """
    with tempfile.TemporaryDirectory(prefix='zsbm-adapt-') as name:
        work = pathlib.Path(name)
        kit = None
        answer = _answer(raw, guest, wanted, kit, work, speaks)
        if 'kit' in answer and (found := _kit(answer['kit'], have)):
            kit = work / 'kit'
            packed_kits.write(found, kit)
            answer = _answer(raw, guest, wanted, kit, work, speaks)
    try:
        if 'report' in answer:
            return _report(answer['report'])
        why = str(answer['error']).rstrip('.')
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        why = f'the machine that adapts it answers what nobody asked: {exc!r}'
    raise exception.NotConverted(
        image=raw.name,
        hardware=', '.join(one.name for one in wanted),
        why=why,
    )


def _answer(
    raw: pathlib.Path,
    guest: Guest,
    wanted: Sequence[hardware.Hardware],
    kit: pathlib.Path | None,
    work: pathlib.Path,
    speaks: bool,
) -> dict[str, Any]:
    initramfs, reply = work / 'initramfs', work / 'reply'
    reply.unlink(missing_ok=True)
    disks = [raw.absolute()]
    if kit:
        disks.append(kit)
    task = inside.task(
        _DISK, list(wanted), kit=_KIT if kit else None, speaks=speaks
    )
    _with_task(guest.initramfs, initramfs, task)
    words = 'console=ttyS0 panic=-1 mitigations=off init_on_alloc=0 quiet'
    vm = machine.Machine(
        spec.MachineSpec(
            name='adapt',
            firmware=spec.Firmware.BIOS,
            state_dir=work / 'machine',
            memory_mib=MEMORY_MIB,
            disks=tuple(spec.Disk('virtio', one, 'raw') for one in disks),
            extra_arguments=(
                *('-kernel', str(guest.kernel), '-initrd', str(initramfs)),
                *('-append', f'{words} no_timer_check'),
                *('-serial', f'file:{reply}', '-no-reboot'),
            ),
        )
    )
    vm.start()
    began_s = time.monotonic()
    try:
        while vm.is_running and time.monotonic() - began_s < LIMIT_S:
            time.sleep(_LOOK_S)
        ended = not vm.is_running
    finally:
        vm.kill()
    for line in _text(reply).splitlines():
        if line.startswith(inside.MARK):
            with contextlib.suppress(ValueError):
                answer = json.loads(line.removeprefix(inside.MARK))
                if isinstance(answer, dict):
                    return answer
    console = _text(vm.spec.serial_log)[-_TAIL_CHARS:]
    said = f'its console ends: {console}' if console else 'it said nothing'
    why = 'ended without an answer' if ended else f'took over {LIMIT_S:.0f} s'
    return {'error': f'the machine that adapts it {why}; {said}'}


def _kit(asked: Any, have: supplies.Supplies) -> kits.Kit | None:
    """Return the kernel that a machine asks for, if it asks as ours do."""
    match asked:
        case [str(identifier), str(architecture)]:
            return have.kit(identifier, architecture)
    return None


def _with_task(
    source: pathlib.Path, target: pathlib.Path, task: bytes
) -> None:
    """Copy the ramdisk and put an archive with the task behind it."""
    with source.open('rb') as reader, target.open('wb') as sink:
        while block := reader.read(1 << 20):
            sink.write(block)
        sink.write(b'\0' * (-sink.tell() % 512 + 512))
        archive = newc.Writer(sink)
        path = str(inside.TASK).lstrip('/')
        archive.add(str(pathlib.PurePath(path).parent), stat.S_IFDIR | 0o755)
        archive.add(path, stat.S_IFREG | 0o600, task)
        archive.close()


def _report(data: dict[str, Any]) -> adapt.Report:
    return adapt.Report(
        data['system'],
        tuple(editing.Change(**one) for one in data['changes']),
        {
            name: verdict.from_data(one)
            for name, one in data['verdicts'].items()
        },
    )


def _text(path: pathlib.Path) -> str:
    return path.read_text(errors='replace') if path.exists() else ''
