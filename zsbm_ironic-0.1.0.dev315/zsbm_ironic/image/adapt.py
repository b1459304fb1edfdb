# SPDX-License-Identifier: Apache-2.0
"""Changes an image so that it boots on given hardware.

Nothing is changed that hardware does not require: a verdict says what stands
in the way, each thing that can be mended is, and a second verdict, on what is
on the disk then, says whether it worked. So a second run changes nothing, and
takes one verdict alone.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zsbm_ironic.image import (
    boot_loader,
    by_uuid,
    consoles,
    early_drivers,
    editing,
    exception,
    hardware,
    hardware_kernel,
    identity,
    mounted,
    nic_names,
    partitions,
    supplies,
    system,
    verdict,
    volumes,
)


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of an image.

    :ivar verdicts: afterwards, by the name of the hardware.
    """

    identifier: str
    changes: tuple[editing.Change, ...]
    verdicts: dict[str, verdict.Verdict]

    def data(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return {
            'system': self.identifier,
            'changes': [dataclasses.asdict(one) for one in self.changes],
            'verdicts': {
                name: one.data() for name, one in self.verdicts.items()
            },
        }


def adapt(
    raw: pathlib.Path,
    wanted: Sequence[hardware.Hardware],
    have: supplies.Supplies,
    *,
    mount: bool,
    hostname: str | None = None,
    speaks: bool = False,
) -> Report:
    """Make a raw disk boot on each of several servers.

    :param raw: a file, which grows where it must, or a device; changed in
        place, and spoiled where this raises, but for MountNeeded.
    :param have: asked only for what is needed.
    :param mount: the kernel may be asked to mount what is on the disk.
    :param hostname: of the one server whose identity takes the place of what
        the image has, see `identity.renew`; None keeps it.
    :raises MountNeeded: it must be, and may not.
    :raises NotConverted: something stands in the way that nothing here mends.
    :raises NotJudged: nobody here can tell; nothing was changed.
    :raises NotEditable: something cannot be changed.
    :raises NoRoom: the image is too full for what is to be added.
    """
    with contextlib.ExitStack() as end:
        disk = end.enter_context(_opened(raw, mount))
        found, before = _judged(disk, wanted)
        if found is None or any(
            one.level is verdict.Level.REFUSE for one in before.values()
        ):
            raise _not_converted(raw, before, verdict.Level.REFUSE)
        mended = _kernel(found, before, have)
        if mended:
            end.close()
            disk = end.enter_context(_opened(raw, mount))
            found, before = _judged(disk, wanted)
        asked_for: list[editing.Change] = []
        if found is not None:
            mended += _files(found, wanted, before)
            asked_for = _asked_for(found, hostname, speaks=speaks)
    for one in wanted:
        if _LOADER & before[one.name].keys:
            mended += _loader(raw, one, have, mount)
    after = before
    if mended:
        with _opened(raw, mount) as disk:
            _, after = _judged(disk, wanted)
    if any(one.level is verdict.Level.UNFIT for one in after.values()):
        raise _not_converted(raw, after, verdict.Level.UNFIT)
    identifier = found.identifier if found else ''
    return Report(identifier, (*mended, *asked_for), after)


def make_room_for_partition(
    raw: pathlib.Path, have: supplies.Supplies, *, mount: bool
) -> tuple[editing.Change, ...]:
    """Give a disk a GPT where its MBR has no room for one more partition.

    Done before a config drive is added; a disk without an OS that is
    understood stays as it is.

    :raises NotEditable: it cannot be.
    """
    with _opened(raw, mount) as disk:
        if disk.table != 'dos' or partitions.primaries(disk) < _MOST_PRIMARIES:
            return ()
        found = system.find(disk)
        if found is None:
            return ()
        image = editing.Editing(found)
        for point in ('/', '/boot'):
            image.check(point)
        by_uuid.mend(found, image, new_table=True)
    with _opened(raw, mount) as disk:
        found = system.find(disk)
        if found is not None:
            loader = editing.Editing(found)
            boot_loader.to_gpt(found, loader, have)
            image.changes += loader.changes
    return tuple(image.changes)


def needs_esp(raw: pathlib.Path, wanted: Sequence[hardware.Hardware]) -> bool:
    """Return whether an EFI system partition will be added."""
    _, verdicts = _judged(volumes.read(raw), wanted)
    return any('no-esp' in one.keys for one in verdicts.values())


Verdicts = Mapping[str, verdict.Verdict]


@contextlib.contextmanager
def _opened(raw: pathlib.Path, mount: bool) -> Iterator[volumes.Disk]:
    """Give what is on a disk; what is mounted for it goes at the end."""
    if not mount:
        yield volumes.read(raw)
        return
    with mounted.Mounts(raw) as mounts:
        yield volumes.read(raw, mounts.files)


def _judged(
    disk: volumes.Disk, wanted: Sequence[hardware.Hardware]
) -> tuple[system.System | None, dict[str, verdict.Verdict]]:
    found = system.find(disk)
    return found, {
        one.name: verdict.of_disk(disk, found, one) for one in wanted
    }


def _kernel(
    found: system.System, before: Verdicts, have: supplies.Supplies
) -> list[editing.Change]:
    """Add a kernel for hardware, where that of the image has no driver."""
    keys = {key for name in before for key in before[name].keys}
    if not keys & _KERNEL or found.architecture is None:
        return []
    image = editing.Editing(found)
    for point in ('/', '/boot'):
        image.check(point)
    kit = have.kit(found.identifier, found.architecture)
    if kit is not None:
        hardware_kernel.add(found, image, kit)
    return image.changes


def _files(
    found: system.System,
    wanted: Sequence[hardware.Hardware],
    before: Verdicts,
) -> list[editing.Change]:
    """Change files of the OS; all that is read stays where it is."""
    image = editing.Editing(found)
    # Before the first change: half of them is worse than none.
    for point in ('/', '/boot'):
        image.check(point)
    keys = {key for name in before for key in before[name].keys}
    new_table = any(boot_loader.needs_table(found, one) for one in wanted)
    if keys & _BY_UUID or new_table:
        by_uuid.mend(found, image, new_table=new_table)
    if 'no-disk-driver-early' in keys:
        early_drivers.add(found, wanted, image)
    if 'nic-names' in keys:
        for one in wanted:
            if nic_names.lost(found, one) and nic_names.give(
                found, one, image
            ):
                break
    return image.changes


def _asked_for(
    found: system.System, hostname: str | None, *, speaks: bool
) -> list[editing.Change]:
    """Change what hardware does not require, and the caller wants."""
    image = editing.Editing(found)
    if hostname is not None:
        identity.renew(found, image, hostname)
    if speaks:
        consoles.speak(found, image)
    return image.changes


def _loader(
    raw: pathlib.Path,
    wanted: hardware.Hardware,
    have: supplies.Supplies,
    mount: bool,
) -> list[editing.Change]:
    """Change what the firmware starts, and the partition table for it.

    All is read anew: a table that changed has partitions at other numbers.
    """
    if (
        raw.is_file()
        and wanted.firmware is hardware.Firmware.UEFI
        and volumes.read(raw).esp() is None
    ):
        partitions.make_way(raw)
    with _opened(raw, mount) as disk:
        found = system.find(disk)
        if found is None:
            return []
        image = editing.Editing(found)
        boot_loader.mend(found, wanted, image, have)
        return image.changes


_MOST_PRIMARIES = 4
_KERNEL = frozenset({'no-disk-driver', 'no-nic-driver'})
_BY_UUID = frozenset(
    {'root-by-bus', 'root-unknown', 'mount-by-bus', 'mount-absent'}
)
_LOADER = frozenset({'no-bios-loader', 'no-esp', 'no-fallback-loader'})


def _not_converted(
    raw: pathlib.Path, verdicts: Verdicts, level: verdict.Level
) -> exception.NotConverted:
    name, finding = next(
        (name, finding)
        for name in verdicts
        for finding in verdicts[name].findings
        if finding.level is level
    )
    kind = (
        exception.NotJudged
        if finding.key in verdict.UNKNOWN
        else exception.NotConverted
    )
    return kind(
        image=raw.name, hardware=name, why=f'{finding.what}; {finding.remedy}'
    )
