# SPDX-License-Identifier: Apache-2.0
"""Boots a converted copy of an image in a twin of a server, and watches.

Called by `zsbm-image rehearse`, before anybody writes the image to a disk of
that server. How far a boot is, its serial console tells, and whether it is on
the network, frames of its NICs. Nothing is left of copy and twin.
"""

import dataclasses
import enum
import pathlib
import re
import tempfile
import time
from typing import Any

from zsbm_ironic.common import artifacts
from zsbm_ironic.image import convert, hardware, micro_vm, twin
from zsbm_ironic.machine import machine, spec

LIMIT_S = 600.0
# After the OS is up, for an address from DHCP.
NETWORK_S = 30.0
TAIL_LINES = 12
# Longer than any step is silent, on an emulated processor that has to share;
# firmware that is silent found nothing.
STILL_S = 240.0
FIRMWARE_STILL_S = 120.0
_LOOK_S = 0.5


class Stage(enum.IntEnum):
    """How far a boot came.

    :cvar NOTHING: the firmware found nothing that it starts.
    :cvar LOADER: the boot loader has no menu, or no kernel.
    :cvar KERNEL: the kernel does not come to its initramfs.
    :cvar INITRAMFS: the root file system is not found.
    :cvar SYSTEM: the OS starts, and is not up.
    :cvar UP: services run, a login is offered.
    """

    NOTHING = 0
    LOADER = 1
    KERNEL = 2
    INITRAMFS = 3
    SYSTEM = 4
    UP = 5


_MEANING = {
    Stage.NOTHING: 'the firmware found nothing that it starts',
    Stage.LOADER: 'the boot loader started, and no kernel',
    Stage.KERNEL: 'the kernel started, and not its initramfs',
    Stage.INITRAMFS: 'the initramfs started, and did not find the root',
    Stage.SYSTEM: 'the OS started, and was not up in time',
    Stage.UP: 'the OS is up',
}
# What consoles say: GRUB; the kernel; initramfs-tools and dracut; systemd and
# sysvinit.
_MARKS = {
    Stage.LOADER: re.compile(r'GRUB|Booting `|grub>|grub rescue>'),
    Stage.KERNEL: re.compile(r'Linux version \d|EFI stub:'),
    Stage.INITRAMFS: re.compile(
        r'Run /init as init|Loading, please wait|dracut|Begin: Running '
    ),
    Stage.SYSTEM: re.compile(
        r'Welcome to (?!.*(?:[Ii]nitramfs|dracut))|INIT: version'
    ),
    Stage.UP: re.compile(
        r'^\S+ login:|Reached target .*(?:Multi-User|Graphical)|'
        r'INIT: Entering runlevel: [2345]',
        re.M,
    ),
}
# What they end with where nothing more comes, or firmware turns to the network
# because nothing on the disk starts.
ENDS = re.compile(
    r'>>Start (?:PXE|HTTP Boot) over|Boot failed: |'
    r'Dropping to a shell|dracut-initqueue.*timeout|emergency mode|'
    r'Cannot open access to console|grub rescue>|grub>|No bootable device|'
    r'No bootable option|Shell>|Kernel panic',
    re.IGNORECASE,
)
_ESCAPE = re.compile(r'\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[()][A-Z0-9]|[=>c])')


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a rehearsal ended.

    :ivar seconds: from power-on to the last stage that was seen.
    :ivar network: NICs that sent something, and those that did not, by MAC;
        only where the OS is up.
    :ivar stand_ins: what the twin has otherwise than the server.
    :ivar tail: the last lines of the console.
    """

    stage: Stage
    seconds: float
    network: dict[str, bool]
    stand_ins: tuple[str, ...]
    tail: tuple[str, ...]

    @property
    def text(self) -> str:
        """How far it came, for people."""
        return _MEANING[self.stage]

    @property
    def on_network(self) -> bool:
        """Whether a NIC sent something, or there is none."""
        return not self.network or any(self.network.values())

    def data(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return {
            **dataclasses.asdict(self),
            'stage': self.stage.name.lower(),
            'meaning': self.text,
        }


def rehearse(
    image: pathlib.Path,
    server: hardware.Hardware,
    *,
    cache: artifacts.Artifacts,
    guest: micro_vm.Guest | None,
    limit_s: float = LIMIT_S,
) -> Outcome:
    """Convert a copy of an image for a server and boot it.

    :param limit_s: for the boot alone.
    :raises NotConverted: something stands in the way.
    :raises MachineInvalid, FirmwareMissing: QEMU cannot start the twin here.
    """
    other = twin.of(server)
    wanted = list(dict.fromkeys((server, other.hardware)))
    with tempfile.TemporaryDirectory(
        dir='/var/tmp', prefix='zsbm-rehearsal-'
    ) as name:
        disk = pathlib.Path(name, 'disk')
        convert.convert(
            image,
            disk,
            wanted,
            output_format='raw',
            force=False,
            cache=cache,
            guest=guest,
            speaks=True,
        )
        made = other.spec(
            spec.Disk('virtio', disk, 'raw'), pathlib.Path(name, 'twin')
        )
        return _watched(made, other, cache, limit_s)


def _watched(
    made: spec.MachineSpec,
    other: twin.Twin,
    cache: artifacts.Artifacts,
    limit_s: float,
) -> Outcome:
    vm = machine.Machine(made)
    vm.set_boot(spec.BootDevice.DISK, persistent=True)
    began_s = time.monotonic()
    reached, reached_s = Stage.NOTHING, 0.0
    told = Console(made.serial_log)
    vm.start()
    try:
        while time.monotonic() - began_s < limit_s:
            text = told.read()
            now = stage_of(text)
            if now > reached:
                reached, reached_s = now, time.monotonic() - began_s
                cache.report.say(f'boot: {now.name.lower()}')
            network = _network(made)
            waited_s = time.monotonic() - began_s - reached_s
            if reached is Stage.UP:
                if all(network.values()) or waited_s > NETWORK_S:
                    break
            elif ENDS.search(text) or told.is_still or not vm.is_running:
                break
            time.sleep(_LOOK_S)
    finally:
        vm.kill()
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return Outcome(
        stage=reached,
        seconds=round(reached_s, 1),
        network=network if reached is Stage.UP else {},
        stand_ins=other.stand_ins,
        tail=tuple(lines[-TAIL_LINES:]),
    )


class Console:
    """What a machine says, and whether it says anything at all."""

    def __init__(self, log: pathlib.Path) -> None:
        self._log = log
        self._text = ''
        self._changed_s = time.monotonic()

    def read(self) -> str:
        """Return all that was said so far."""
        text = console(self._log)
        if text != self._text:
            self._text, self._changed_s = text, time.monotonic()
        return text

    @property
    def is_still(self) -> bool:
        """Whether nothing came for longer than a boot is silent."""
        still_s = time.monotonic() - self._changed_s
        # Asked twice a second of all that was said: seldom looked through.
        return still_s > FIRMWARE_STILL_S and (
            still_s > STILL_S or stage_of(self._text) is Stage.NOTHING
        )


def stage_of(text: str) -> Stage:
    """Return how far a boot is, by all that its console said."""
    return max(
        (stage for stage, mark in _MARKS.items() if mark.search(text)),
        default=Stage.NOTHING,
    )


def console(log: pathlib.Path) -> str:
    """Return what a console said, without what only a terminal reads."""
    if not log.exists():
        return ''
    return _ESCAPE.sub('', log.read_text(errors='replace')).replace('\r', '')


def _network(made: spec.MachineSpec) -> dict[str, bool]:
    return {
        nic.mac: twin.sent(twin.frames_file(made.state_dir, number), nic.mac)
        > 0
        for number, nic in enumerate(made.nics)
    }
