# SPDX-License-Identifier: Apache-2.0
"""Start, watch and stop one QEMU machine.

Everything that has to outlive a process is in the spec's `state_dir`: QEMU's
pid file and sockets, the variable store, and what the next boot tries first.
So any process may build a `Machine` from the same spec and find it as it is;
a lock in that directory keeps two of them from starting it at once.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import signal
import time
from collections.abc import Iterator

from zsbm_ironic.common import process, whole_file
from zsbm_ironic.machine import accelerator, command, firmware, qmp
from zsbm_ironic.machine import exception as machine_exception
from zsbm_ironic.machine import spec as specs

BootDevice = specs.BootDevice

#: Starting takes under a second, more where the host is loaded.
_START_TIMEOUT_S = 60

#: A killed QEMU frees its memory within this time.
_KILL_TIMEOUT_S = 20


@dataclasses.dataclass(frozen=True)
class BootChoice:
    """What the firmware is told to try first.

    :ivar persistent: the device of every boot.
    :ivar once: the device of the next boot only; None: as `persistent`.
    """

    persistent: BootDevice = BootDevice.DISK
    once: BootDevice | None = None

    @property
    def next_boot(self) -> BootDevice:
        """What the next boot tries first."""
        return self.once or self.persistent


class Machine:
    """One machine, running or not."""

    def __init__(self, spec: specs.MachineSpec) -> None:
        self.spec = spec

    @property
    def pid(self) -> int | None:
        """QEMU's process id, or None when the machine is off.

        The command line of the process has to name our pid file: a pid that
        was given to another process since is not ours. QEMU removes its pid
        file while it still holds taps and images, so a copy is asked too.
        """
        for path in (self.spec.pid_file, self._last_pid_file):
            try:
                pid = int(path.read_text())
                words = pathlib.Path(f'/proc/{pid}/cmdline').read_bytes()
            except (OSError, ValueError):
                continue
            if os.fsencode(self.spec.pid_file) in words:
                return pid
        return None

    @property
    def is_running(self) -> bool:
        """Whether the machine has power."""
        return self.pid is not None

    @property
    def boot(self) -> BootChoice:
        """What the next boot tries first."""
        try:
            stored = json.loads(self._boot_file.read_text())
        except FileNotFoundError:
            return BootChoice()
        once = stored['once']
        return BootChoice(
            BootDevice(stored['persistent']),
            BootDevice(once) if once else None,
        )

    def set_boot(self, device: BootDevice, *, persistent: bool) -> None:
        """Choose what the firmware tries first, at once or ever after.

        A running machine follows at its next reset, its own included.
        """
        with self._lock():
            if persistent:
                self._store_boot(BootChoice(device))
            else:
                self._store_boot(BootChoice(self.boot.persistent, device))
            self._apply_boot(self.boot.next_boot)

    def clear_boot_once(self) -> None:
        """Forget a one-time device that was chosen but not used."""
        with self._lock():
            self._store_boot(BootChoice(self.boot.persistent))
            self._apply_boot(self.boot.persistent)

    def boot_was_used(self) -> None:
        """Note that the machine reset: a one-time device has had its boot."""
        with self._lock():
            if self.boot.once is not None:
                self._store_boot(BootChoice(self.boot.persistent))
                self._apply_boot(self.boot.persistent)

    @property
    def media(self) -> str | None:
        """Image in the CD drive, or None; one that was deleted is gone."""
        try:
            path = self._media_file.read_text()
        except FileNotFoundError:
            return None
        return path if path and os.path.exists(path) else None

    def set_media(self, path: str | None) -> None:
        """Put an image into the CD drive, or take it out with None.

        :raises MachineRefused: QEMU cannot open the image.
        """
        with self._lock():
            if self.is_running:
                with self.monitor() as monitor:
                    if path is None:
                        monitor.execute('eject', id='cd0', force=True)
                    else:
                        monitor.execute(
                            'blockdev-change-medium',
                            id='cd0',
                            filename=path,
                            format='raw',
                        )
            whole_file.write(self._media_file, path or '')

    def start(self) -> None:
        """Power on; nothing happens when it is on already.

        :raises FirmwareMissing, MachineInvalid: the spec cannot be run here.
        :raises ProcessFailed: QEMU ended at once, with what it said.
        """
        with self._lock():
            if self.is_running:
                return
            self._check()
            flash = firmware.flash_for(self.spec)
            if flash is not None:
                firmware.prepare_variables(self.spec, flash)
            choice = self.boot
            accel = self.spec.accelerator
            if accel == 'auto':
                accel = accelerator.choose(self.spec.arch)
            self._last_pid_file.unlink(missing_ok=True)
            process.run(
                command.arguments(
                    self.spec, [choice.next_boot], accel, self.media
                ),
                timeout_s=_START_TIMEOUT_S,
            )
            whole_file.write(
                self._last_pid_file, self.spec.pid_file.read_text()
            )
            if choice.once is not None:
                # The firmware has its list already: what is set now counts
                # from the next reset on.
                self._store_boot(BootChoice(choice.persistent))
                self._apply_boot(choice.persistent)

    def stop(self) -> None:
        """Ask the operating system to power off (ACPI button): returns now.

        :raises MachineUnreachable: the machine hangs.
        """
        if self.is_running:
            with self.monitor() as monitor:
                monitor.execute('system_powerdown')

    def kill(self) -> None:
        """Cut the power and wait until QEMU is gone.

        :raises MachineNotStopped: the process cannot be killed.
        """
        with self._lock():
            pid = self.pid
            if pid is not None:
                self._end(pid)

    def reset(self) -> None:
        """Reset the machine; the boot choice counts.

        :raises MachineUnreachable: the machine is off or hangs.
        """
        with self._lock(), self.monitor() as monitor:
            monitor.execute('system_reset')

    def nmi(self) -> None:
        """Send a non-maskable interrupt to every CPU.

        :raises MachineUnreachable: the machine is off or hangs.
        """
        with self.monitor() as monitor:
            monitor.execute('inject-nmi')

    def set_link(self, nic: int, *, plugged: bool) -> None:
        """Pull the cable of a network card, or put it back.

        :param nic: position in the spec.
        :raises MachineUnreachable: the machine is off or hangs.
        :raises MachineRefused: there is no such card.
        """
        with self.monitor() as monitor:
            monitor.execute('set_link', name=f'net{nic}', up=plugged)

    def wait_off(self, timeout_s: float) -> bool:
        """Wait until the machine is off; False when it still is on."""
        deadline = time.monotonic() + timeout_s
        while self.is_running:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def monitor(self) -> qmp.Monitor:
        """Connect to the monitor for a short conversation."""
        return qmp.Monitor(self.spec.qmp_socket)

    @property
    def _boot_file(self) -> pathlib.Path:
        return self.spec.state_dir / 'boot.json'

    @property
    def _last_pid_file(self) -> pathlib.Path:
        return self.spec.state_dir / 'last-pid'

    @property
    def _media_file(self) -> pathlib.Path:
        return self.spec.state_dir / 'media'

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self.spec.state_dir.mkdir(parents=True, exist_ok=True)
        with (self.spec.state_dir / 'lock').open('a') as handle:
            if os.geteuid() == 0:
                # Whom the folder belongs to locks it as well.
                owner = self.spec.state_dir.stat()
                os.fchown(handle.fileno(), owner.st_uid, owner.st_gid)
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _check(self) -> None:
        length = len(os.fsencode(self.spec.event_socket))
        if length > specs.SOCKET_PATH_BYTES:
            raise machine_exception.MachineInvalid(
                machine=self.spec.name,
                what=f'state directory {self.spec.state_dir} is too long '
                'for a unix socket',
                remedy='Choose a shorter one',
            )
        for disk in self.spec.disks:
            if not disk.path.exists():
                raise machine_exception.MachineInvalid(
                    machine=self.spec.name,
                    what=f'no disk image {disk.path}',
                    remedy='Create it before the machine is started',
                )

    def _store_boot(self, choice: BootChoice) -> None:
        whole_file.write(
            self._boot_file,
            json.dumps(
                {
                    'persistent': choice.persistent.value,
                    'once': choice.once.value if choice.once else None,
                }
            ),
        )

    def _apply_boot(self, device: BootDevice) -> None:
        """Tell a running QEMU; it hands the list over at each reset."""
        if not self.is_running:
            return
        indexes = command.boot_indexes(self.spec, [device])
        known = [f'disk{number}' for number in range(len(self.spec.disks))]
        known += [f'net{number}' for number in range(len(self.spec.nics))]
        if self.spec.arch == 'x86_64':
            known.append('cd0')
        with self.monitor() as monitor:
            # Two devices must never have one index, so all are freed first.
            for name in known:
                _set_index(monitor, name, -1)
            for name in known:
                if name in indexes:
                    _set_index(monitor, name, indexes[name])

    def _end(self, pid: int) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            if self.wait_off(_KILL_TIMEOUT_S / 2):
                return
        raise machine_exception.MachineNotStopped(
            machine=self.spec.name, pid=pid, s=_KILL_TIMEOUT_S
        )


def _set_index(monitor: qmp.Monitor, name: str, index: int) -> None:
    monitor.execute(
        'qom-set',
        path=f'/machine/peripheral/{name}',
        property='bootindex',
        value=index,
    )
