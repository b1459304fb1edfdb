# SPDX-License-Identifier: Apache-2.0
"""Real machines, up to their firmware: no operating system is needed."""

import os
import pathlib
import re
import socket
import tempfile
import time

from oslotest import base

from zsbm_ironic import machine
from zsbm_ironic.common import exception, process
from zsbm_ironic.machine import exception as machine_exception

BootDevice = machine.BootDevice

#: Generous: a loaded machine without KVM needs this long for a firmware.
PATIENCE_S = 120


class MachineTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # Short: socket paths have 107 bytes.
        directory = tempfile.TemporaryDirectory(prefix='zm-')
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)

    def machine(self, firmware=machine.Firmware.BIOS, **changes):
        disk = self.directory / 'disk.qcow2'
        process.run(
            ['qemu-img', 'create', '-f', 'qcow2', disk, '1G'], timeout_s=30
        )
        values = {
            'memory_mib': 256,
            'cpus': 1,
            'disks': (machine.Disk('sata', disk),),
            'nics': (machine.Nic('e1000e', '52:54:00:00:00:01'),),
            'accelerator': 'tcg',
            **changes,
        }
        spec = machine.MachineSpec('m1', firmware, self.directory, **values)
        made = machine.Machine(spec)
        self.addCleanup(made.kill)
        return made

    def wait_serial(self, made, pattern, after=0):
        """Wait for a text on the serial port; return where it ended."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            text = b''
            if made.spec.serial_log.exists():
                text = made.spec.serial_log.read_bytes()
            found = re.search(pattern, text[after:])
            if found:
                return after + found.end()
            time.sleep(0.1)
        self.fail(f'{pattern!r} never came; the log ends {text[-500:]!r}')


class TestPower(MachineTestCase):
    def test_bios_boots_from_the_network_once(self):
        """One-time counts for one boot, the guest's next reset is another."""
        made = self.machine()
        made.set_boot(BootDevice.NETWORK, persistent=False)
        self.assertIs(BootDevice.NETWORK, made.boot.next_boot)
        made.start()
        self.assertTrue(made.is_running)
        self.assertIsNone(made.boot.once)
        end = self.wait_serial(made, rb'Booting from (ROM|Hard Disk)')
        log = made.spec.serial_log.read_bytes()[:end]
        self.assertIn(b'Booting from ROM', log)
        made.reset()
        end = self.wait_serial(made, rb'Booting from (ROM|Hard Disk)', end)
        self.assertIn(
            b'Booting from Hard Disk', made.spec.serial_log.read_bytes()[:end]
        )

    def test_choice_counts_at_the_next_reset_of_a_running_machine(self):
        made = self.machine()
        made.start()
        end = self.wait_serial(made, rb'Booting from Hard Disk')
        made.set_boot(BootDevice.NETWORK, persistent=True)
        made.reset()
        self.wait_serial(made, rb'Booting from ROM', end)
        self.assertIs(BootDevice.NETWORK, made.boot.persistent)

    def test_uefi_boots_from_the_network(self):
        made = self.machine(
            machine.Firmware.UEFI,
            nics=(
                machine.Nic(
                    'virtio-net-pci', '52:54:00:00:00:01', boot_rom=False
                ),
            ),
        )
        made.set_boot(BootDevice.NETWORK, persistent=True)
        made.start()
        self.wait_serial(made, rb'Start PXE over IPv4')
        self.assertTrue(made.spec.variables.exists())

    def test_start_and_kill_twice(self):
        made = self.machine()
        made.start()
        pid = made.pid
        made.start()
        self.assertEqual(pid, made.pid)
        made.kill()
        made.kill()
        self.assertFalse(made.is_running)
        # Gone, or a zombie that process 1 did not collect yet.
        words = pathlib.Path(f'/proc/{pid}/cmdline')
        self.assertFalse(words.exists() and words.read_bytes())

    def test_another_process_finds_it(self):
        made = self.machine()
        made.start()
        other = machine.Machine(made.spec)
        self.assertEqual(made.pid, other.pid)
        other.kill()
        self.assertFalse(made.is_running)

    def test_pid_of_another_process_is_not_ours(self):
        made = self.machine()
        made.spec.pid_file.write_text('1\n')
        self.assertFalse(made.is_running)

    def test_soft_off_goes_to_the_operating_system(self):
        made = self.machine()
        made.start()
        made.stop()
        # SeaBIOS has no ears for it, and the machine stays on.
        self.assertFalse(made.wait_off(0.5))

    def test_what_root_did_does_not_lock_its_owner_out(self):
        if os.geteuid() != 0:
            self.skipTest('only root makes files in the folders of others')
        made = self.machine()
        os.chown(self.directory, 65534, 65534)
        made.kill()
        process.run(
            [
                *('setpriv', '--reuid=65534', '--clear-groups', '--'),
                *('sh', '-c', 'exec 9>> lock'),
            ],
            timeout_s=10,
            cwd=self.directory,
        )

    def test_off_machine_refuses(self):
        made = self.machine()
        self.assertRaises(machine_exception.MachineUnreachable, made.reset)
        self.assertRaises(machine_exception.MachineUnreachable, made.nmi)
        made.stop()
        made.kill()


class TestDevices(MachineTestCase):
    def test_cable_media_and_interrupt(self):
        made = self.machine()
        made.start()
        made.set_link(0, plugged=False)
        made.set_link(0, plugged=True)
        made.nmi()
        self.assertRaises(
            machine_exception.MachineRefused, made.set_link, 3, plugged=False
        )
        image = self.directory / 'image.iso'
        image.write_bytes(bytes(2048 * 16))
        made.set_media(str(image))
        self.assertEqual(str(image), made.media)
        with made.monitor() as monitor:
            drives = {
                one['qdev']: one
                for one in monitor.execute('query-block')
                if one.get('qdev')
            }
        self.assertEqual(str(image), drives['cd0']['inserted']['file'])
        made.set_media(None)
        self.assertIsNone(made.media)

    def test_serial_port_is_a_socket_and_a_log(self):
        made = self.machine()
        made.start()
        with socket.socket(socket.AF_UNIX) as serial:
            serial.connect(str(made.spec.serial_socket))
            serial.settimeout(PATIENCE_S)
            self.assertTrue(serial.recv(16))
        self.wait_serial(made, rb'SeaBIOS')


class TestRefusals(MachineTestCase):
    def test_missing_disk(self):
        made = self.machine(
            disks=(machine.Disk('sata', self.directory / 'none'),)
        )
        error = self.assertRaises(machine_exception.MachineInvalid, made.start)
        self.assertIn('no disk image', str(error))

    def test_long_state_directory(self):
        spec = machine.MachineSpec(
            'm1', machine.Firmware.BIOS, self.directory / ('x' * 100)
        )
        error = self.assertRaises(
            machine_exception.MachineInvalid, machine.Machine(spec).start
        )
        self.assertIn('too long', str(error))

    def test_what_qemu_says_is_in_the_error(self):
        made = self.machine(
            nics=(machine.Nic('no-such-card', '52:54:00:00:00:01'),)
        )
        error = self.assertRaises(exception.ProcessFailed, made.start)
        self.assertIn('no-such-card', str(error))
        self.assertFalse(made.is_running)
