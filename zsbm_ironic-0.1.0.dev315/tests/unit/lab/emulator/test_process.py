# SPDX-License-Identifier: Apache-2.0
"""The emulator as a process of its own before a real QEMU machine."""

import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

from oslotest import base

from zsbm_ironic import machine
from zsbm_ironic.common import exception, process
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.emulator import client, config
from zsbm_ironic.machine import exception as machine_exception

PATIENCE_S = 120
ADDRESS = '127.0.0.1'


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


class ProcessTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        directory = tempfile.TemporaryDirectory(prefix='ze-')
        self.addCleanup(directory.cleanup)
        self.directory = pathlib.Path(directory.name)
        self.state = self.directory / 's'
        self.file = self.directory / 'metal.json'
        self.control = client.Client(self.state / 'control.sock')

    def configure(self, **changes):
        disk = self.directory / 'disk.qcow2'
        process.run(
            ['qemu-img', 'create', '-f', 'qcow2', disk, '1G'], timeout_s=30
        )
        values = {
            'name': 'metal',
            'state_dir': str(self.state),
            'machine': {
                'firmware': 'bios',
                'memory_mib': 256,
                'cpus': 1,
                'accelerator': 'tcg',
                'disks': [{'bus': 'sata', 'path': str(disk)}],
                'nics': [{'model': 'e1000e', 'mac': '52:54:00:00:00:01'}],
            },
            'ipmi': {'port': free_port(socket.SOCK_DGRAM)},
            **changes,
        }
        self.file.write_text(json.dumps(values))
        self.port = values['ipmi']['port']
        loaded = config.load(self.file)
        if loaded.machine is not None:
            self.machine = machine.Machine(loaded.machine)
            self.addCleanup(self.machine.kill)

    def start(self):
        emulator = process.start(
            [sys.executable, '-m', 'zsbm_ironic.lab.emulator', self.file],
            log=self.directory / 'log',
        )
        self.addCleanup(self.stop, emulator)
        ready = self.state / 'ready.json'
        self.wait_for(
            lambda: ready.exists() or emulator.poll() is not None,
            'the emulator',
        )
        self.assertIsNone(
            emulator.poll(), (self.directory / 'log').read_text()
        )
        return emulator, json.loads(ready.read_text())

    def stop(self, emulator, number=signal.SIGTERM):
        if emulator.poll() is None:
            emulator.send_signal(number)
        return emulator.wait(timeout=PATIENCE_S)

    def ask(self, *words):
        return self.ipmitool(*words).stdout

    def ipmitool(self, *words):
        return process.run(
            [
                *('ipmitool', '-I', 'lanplus', '-H', ADDRESS),
                *('-p', str(self.port), '-U', 'admin', '-P', 'password'),
                *words,
            ],
            timeout_s=PATIENCE_S,
        )

    def wait_for(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), deadline, f'no {what}')
            time.sleep(0.05)

    def wait_power(self, state):
        self.wait_for(
            lambda: self.control.status()['power'] == state, f'power {state}'
        )

    def wait_serial(self, pattern):
        log = self.state / 'serial.log'
        self.wait_for(
            lambda: log.exists() and re.search(pattern, log.read_bytes()),
            f'{pattern!r} on the serial port',
        )


class TestLife(ProcessTestCase):
    def test_boots_as_the_bmc_was_told(self):
        self.configure()
        _, ready = self.start()
        self.assertEqual('off', ready['power'])
        self.assertEqual(self.port, ready['ipmi']['port'])
        self.ipmitool('chassis', 'bootdev', 'pxe')
        self.ipmitool('power', 'on')
        self.wait_power('on')
        self.wait_serial(rb'Booting from ROM')
        status = self.control.status()
        self.assertEqual('none', status['boot']['target'])
        self.ipmitool('power', 'off')
        self.wait_power('off')

    def test_one_time_device_survives_the_reset_it_is_meant_for(self):
        """SeaBIOS itself resets after a warm reset: that is one boot."""
        self.configure()
        self.start()
        self.ipmitool('power', 'on')
        self.wait_serial(rb'Booting from Hard Disk')
        self.ipmitool('chassis', 'bootdev', 'pxe')
        self.ipmitool('power', 'reset')
        self.wait_serial(rb'Hard Disk(?s:.)*Booting from ROM')
        self.wait_for(
            lambda: self.control.status()['boot']['target'] == 'none',
            'end of the one-time device',
        )
        self.assertIs(machine.BootDevice.DISK, self.machine.boot.next_boot)

    def test_machine_outlives_its_bmc(self):
        self.configure()
        emulator, _ = self.start()
        self.ipmitool('power', 'on')
        self.wait_power('on')
        pid = self.machine.pid
        self.ipmitool('chassis', 'bootdev', 'pxe', 'options=persistent')
        self.assertEqual(0, self.stop(emulator))
        self.assertEqual(pid, self.machine.pid)
        self.assertFalse((self.state / 'ready.json').exists())
        _, ready = self.start()
        self.assertEqual('on', ready['power'])
        self.assertEqual('pxe', ready['boot']['target'])
        self.ipmitool('power', 'off')
        self.wait_power('off')

    def test_killed_bmc_comes_back(self):
        self.configure()
        emulator, _ = self.start()
        self.ipmitool('power', 'on')
        self.wait_power('on')
        self.stop(emulator, signal.SIGKILL)
        (self.state / 'ready.json').unlink()
        self.start()
        self.assertIn('Chassis Power is on', self.ask('power', 'status'))

    def test_machine_ends_with_its_bmc_when_told(self):
        self.configure(kill_machine_on_exit=True)
        emulator, _ = self.start()
        self.ipmitool('power', 'on')
        self.wait_power('on')
        self.assertEqual(0, self.stop(emulator))
        self.assertFalse(self.machine.is_running)

    def test_why_it_did_not_start_is_in_the_status(self):
        self.configure()
        self.start()
        (self.directory / 'disk.qcow2').unlink()
        self.ipmitool('power', 'on')
        self.wait_for(
            lambda: self.control.status()['last_error'], 'last_error'
        )
        self.assertIn('no disk image', self.control.status()['last_error'])

    def test_in_memory_with_both_protocols(self):
        self.configure(
            machine=None, redfish={'port': free_port(socket.SOCK_STREAM)}
        )
        _, ready = self.start()
        self.assertRegex(
            ready['redfish']['fingerprint'], 'sha256:[0-9a-f]{64}'
        )
        self.ipmitool('power', 'on')
        self.assertEqual('on', self.control.status()['power'])

    def test_bad_configuration_is_named(self):
        self.file.write_text('{"name": "metal", "state_dir": "/nowhere"}')
        done = subprocess.run(
            [sys.executable, '-m', 'zsbm_ironic.lab.emulator', self.file],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        self.assertEqual(1, done.returncode)
        self.assertIn('neither ipmi nor redfish', done.stderr)
        self.assertNotIn('Traceback', done.stderr)


class TestConsole(ProcessTestCase):
    def test_serial_over_lan_both_ways(self):
        """What is typed into ipmitool reaches the machine's serial port."""
        self.configure()
        self.start()
        self.ipmitool('chassis', 'bootdev', 'pxe')
        leader, follower = pty.openpty()
        console = subprocess.Popen(
            [
                *('ipmitool', '-I', 'lanplus', '-H', ADDRESS),
                *('-p', str(self.port), '-U', 'admin', '-P', 'password'),
                *('sol', 'activate'),
            ],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, follower)
        self.addCleanup(console.wait)
        self.addCleanup(console.kill)
        seen = b''

        def saw(text):
            nonlocal seen
            seen += os.read(leader, 4096)
            return text in seen

        self.wait_for(lambda: saw(b'SOL Session operational'), 'session')
        # A second console is told who has it.
        error = self.assertRaises(
            exception.ProcessFailed, self.ipmitool, 'sol', 'activate'
        )
        self.assertIn('already active', str(error))
        # The machine is switched on while the console is open.
        self.ipmitool('power', 'on')
        self.wait_for(lambda: saw(b'Press Ctrl-B for the iPXE'), 'output')
        os.write(leader, b'\x02')
        self.wait_for(lambda: saw(b'iPXE>'), 'prompt')
        os.write(leader, b'echo zs${}bm\n')
        self.wait_for(lambda: saw(b'zsbm'), 'answer')
        self.ipmitool('sol', 'deactivate')
        error = self.assertRaises(
            exception.ProcessFailed, self.ipmitool, 'sol', 'deactivate'
        )
        self.assertIn('already de-activated', str(error))


class TestControl(ProcessTestCase):
    def test_faults_while_it_runs(self):
        self.configure(machine=None)
        self.start()
        self.control.faults(wrong_password=True)
        self.assertRaises(
            exception.ProcessFailed, self.ipmitool, 'power', 'status'
        )
        self.assertTrue(self.control.status()['faults']['wrong_password'])
        self.control.clear()
        self.assertIn('off', self.ask('power', 'status'))
        self.control.reading('CPU1 Temp', 97)
        self.control.power('on')
        self.assertRegex(self.ask('sdr'), r'CPU1 Temp +\| 97 degrees C')
        self.control.link(0, plugged=False)

    def test_what_it_cannot_do_is_said(self):
        self.configure()
        self.start()
        for error in (
            self.assertRaises(
                lab_exception.EmulatorRefused, self.control.power, 'explode'
            ),
            self.assertRaises(
                lab_exception.EmulatorRefused, self.control.reading, 'Luck', 7
            ),
        ):
            self.assertIn('refused', str(error))
        error = self.assertRaises(
            lab_exception.EmulatorRefused, self.control.link, 0, plugged=False
        )
        self.assertIn('does not answer', str(error))

    def test_no_emulator(self):
        error = self.assertRaises(
            machine_exception.MachineUnreachable, self.control.status
        )
        self.assertIn('control.sock', str(error))
