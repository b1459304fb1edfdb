# SPDX-License-Identifier: Apache-2.0
"""The chassis that is a QEMU machine.

Power actions are queued and done by one thread: a BMC answers at once and the
power follows. A second thread listens to QEMU's events, so that a one-time
boot device is used up by any reset, the guest's own included. Both start at
the machine as they find it: a restarted emulator takes over a running one.
"""

import contextlib
import dataclasses
import json
import logging
import queue
import threading
import time
from collections.abc import Callable

from zsbm_ironic import machine as machine_room
from zsbm_ironic.common import exception, whole_file
from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import event_log, sensors
from zsbm_ironic.machine import exception as machine_exception
from zsbm_ironic.machine import qmp

LOG = logging.getLogger(__name__)

BootOverride = chassis_room.BootOverride
Target = chassis_room.Target

_DEVICES = {
    Target.PXE: machine_room.BootDevice.NETWORK,
    Target.HTTP: machine_room.BootDevice.HTTP,
    Target.DISK: machine_room.BootDevice.DISK,
    Target.CDROM: machine_room.BootDevice.CDROM,
}

#: Off time of a power cycle: the least of IPMI's interval settings.
_CYCLE_OFF_S = 1.0
_LOOK_FOR_MACHINE_S = 0.5

#: Events worth a line in the log; a guest sets its clock all the time.
_NOTED = frozenset(('RESET', 'SHUTDOWN', 'POWERDOWN', 'GUEST_PANICKED'))

#: One reset may look like five: SeaBIOS resets again after a warm one. A
#: one-time boot device is used up when nothing followed for so long.
_RESET_SETTLES_S = 3.0


class QemuChassis:
    """One machine with what a BMC remembers about it."""

    def __init__(
        self, machine: machine_room.Machine, asset: chassis_room.Asset
    ) -> None:
        self.asset = asset
        self.machine = machine
        self.indicator = chassis_room.Indicator()
        self.readings = sensors.Readings()
        self.log = event_log.EventLog()
        self.last_error: str | None = None
        self._file = machine.spec.state_dir / 'bmc.json'
        machine.spec.state_dir.mkdir(parents=True, exist_ok=True)
        self._override, self._secure_boot = self._load()
        if self._secure_boot != asset.secure_boot:
            self._switch_firmware(self._secure_boot)
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._closing = threading.Event()
        self._events: qmp.Monitor | None = None
        self._settling: threading.Timer | None = None
        self._settling_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=loop, name=loop.__name__, daemon=True)
            for loop in (self._work, self._watch)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads; the machine stays as it is."""
        self._closing.set()
        self._cancel_settling()
        self._jobs.put(None)
        events = self._events
        if events is not None:
            events.shut_down()
        for thread in self._threads:
            thread.join()

    @property
    def is_on(self) -> bool:
        """Whether QEMU runs."""
        return self.machine.is_running

    @property
    def serial_path(self) -> str | None:
        """QEMU's serial port."""
        return str(self.machine.spec.serial_socket)

    def power_on(self) -> None:
        """Start QEMU, soon."""
        self._jobs.put(self.machine.start)

    def power_off(self) -> None:
        """Kill QEMU, soon."""
        self._jobs.put(self.machine.kill)

    def power_cycle(self) -> None:
        """Kill QEMU and start it again, soon."""
        self._jobs.put(self._cycle)

    def reset(self) -> None:
        """Reset the running machine, soon."""
        self._jobs.put(self._reset)

    def soft_off(self) -> None:
        """Press the ACPI power button, soon."""
        self._jobs.put(self.machine.stop)

    def nmi(self) -> None:
        """Interrupt all CPUs, soon."""
        self._jobs.put(self.machine.nmi)

    @property
    def boot(self) -> BootOverride:
        """What the next boot tries first; a used one-time device is gone."""
        override = self._override
        if override.target in _DEVICES and not override.persistent:
            if self.machine.boot.once is None:
                return BootOverride()
        return override

    def set_boot(self, override: BootOverride) -> None:
        """Choose what the next boot tries first."""
        self._cancel_settling()
        self._override = override
        self._store()
        device = _DEVICES.get(override.target)
        disk = machine_room.BootDevice.DISK
        try:
            if device is None:
                self.machine.set_boot(disk, persistent=True)
            else:
                if not override.persistent:
                    self.machine.set_boot(disk, persistent=True)
                self.machine.set_boot(device, persistent=override.persistent)
        except machine_exception.MachineUnreachable as exc:
            # The machine powered off just now: its next start reads the
            # choice from its state directory.
            LOG.info('%s', exc)

    @property
    def secure_boot(self) -> bool:
        """Whether the BMC was told to have secure boot on."""
        return self._secure_boot

    def set_secure_boot(self, enabled: bool) -> None:
        """Remember it, and take the other firmware at the next start."""
        self._secure_boot = enabled
        self._store()
        firmware = machine_room.Firmware
        if self.machine.spec.firmware is firmware.BIOS:
            return
        self._switch_firmware(enabled)

    def set_media(self, path: str | None) -> None:
        """Insert an image into the CD drive, or eject."""
        self.machine.set_media(path)

    def set_link(self, nic: int, plugged: bool) -> None:
        """Pull a network cable of a running machine, or put it back."""
        self.machine.set_link(nic, plugged=plugged)

    def _switch_firmware(self, enabled: bool) -> None:
        spec = self.machine.spec
        wanted = (
            machine_room.Firmware.UEFI_SECUREBOOT
            if enabled
            else machine_room.Firmware.UEFI
        )
        self.machine.spec = dataclasses.replace(spec, firmware=wanted)

    def _reset(self) -> None:
        self.machine.reset()
        # Not left to the event alone: the listener may not be there yet.
        self._settle()

    def _cycle(self) -> None:
        self.machine.kill()
        time.sleep(_CYCLE_OFF_S)
        self.machine.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            LOG.info('%s: %s', self.asset.name, job.__name__.strip('_'))
            try:
                job()
            except (exception.ZsbmError, OSError) as exc:
                # Nobody waits for the answer: it is kept for `status`.
                LOG.exception('Machine %s', self.asset.name)
                self.last_error = str(exc)
            else:
                self.last_error = None

    def _watch(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(exception.ZsbmError):
                if self.machine.is_running:
                    self._listen()
            self._closing.wait(_LOOK_FOR_MACHINE_S)

    def _listen(self) -> None:
        with qmp.Monitor(self.machine.spec.event_socket) as monitor:
            self._events = monitor
            if self._closing.is_set():
                return
            for event in monitor.events():
                if event['event'] in _NOTED:
                    LOG.info('%s: %s', self.asset.name, event['event'])
                if event['event'] == 'RESET':
                    self._settle()
        self._events = None

    def _settle(self) -> None:
        with self._settling_lock:
            if self._settling is not None:
                self._settling.cancel()
            self._settling = threading.Timer(_RESET_SETTLES_S, self._boot_used)
            self._settling.daemon = True
            self._settling.start()

    def _cancel_settling(self) -> None:
        with self._settling_lock:
            if self._settling is not None:
                self._settling.cancel()
                self._settling = None

    def _boot_used(self) -> None:
        with contextlib.suppress(machine_exception.MachineUnreachable):
            self.machine.boot_was_used()

    def _load(self) -> tuple[BootOverride, bool]:
        try:
            stored = json.loads(self._file.read_text())
        except FileNotFoundError:
            return BootOverride(), self.asset.secure_boot
        return (
            BootOverride(
                Target(stored['target']), stored['persistent'], stored['uefi']
            ),
            stored['secure_boot'],
        )

    def _store(self) -> None:
        override = self._override
        whole_file.write(
            self._file,
            json.dumps(
                {
                    'target': override.target.value,
                    'persistent': override.persistent,
                    'uefi': override.uefi,
                    'secure_boot': self._secure_boot,
                }
            ),
        )
