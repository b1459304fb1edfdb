# SPDX-License-Identifier: Apache-2.0
"""The emulated BMC before IPMI clients that we did not write."""

import socket
import subprocess
import time

from oslotest import base
from pyghmi.ipmi import command as pyghmi_command

from zsbm_ironic.lab.emulator import fixtures as emulated
from zsbm_ironic.lab.emulator import sensors

PATIENCE_S = 60


def run(words):
    return subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class IpmiTestCase(base.BaseTestCase):
    def ipmitool(self, bmc, *words, suite=17, password=None, extra=()):
        return run(
            [
                *('ipmitool', '-I', 'lanplus', '-C', str(suite)),
                *('-H', emulated.ADDRESS, '-p', str(bmc.port)),
                *('-U', bmc.username, '-P', password or bmc.password),
                *extra,
                *words,
            ]
        )

    def assertSays(self, text, done):
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn(text, done.stdout)

    def log_in(self, bmc, password=None):
        session = pyghmi_command.Command(
            emulated.ADDRESS,
            bmc.username,
            password or bmc.password,
            port=bmc.port,
        )
        self.addCleanup(session.ipmi_session.logout)
        return session


class TestIpmitool(IpmiTestCase):
    def test_power_with_both_suites(self):
        for suite in (3, 17):
            bmc = self.useFixture(emulated.EmulatedIpmi(power='off'))
            for action, after in (
                ('status', 'off'),
                ('on', 'on'),
                ('cycle', 'on'),
                ('reset', 'on'),
                ('diag', 'on'),
                ('soft', 'off'),
                ('on', 'on'),
                ('off', 'off'),
            ):
                done = self.ipmitool(bmc, 'power', action, suite=suite)
                self.assertEqual(0, done.returncode, done.stderr)
                self.assertEqual(after, bmc.power)
            self.assertEqual(
                ['on', 'cycle', 'reset', 'nmi', 'soft', 'on', 'off'],
                bmc.actions,
            )

    def test_best_suite_is_found_without_asking_for_one(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        done = run(
            [
                *('ipmitool', '-v', '-I', 'lanplus', '-H', emulated.ADDRESS),
                *('-p', str(bmc.port), '-U', 'admin', '-P', bmc.password),
                *('power', 'status'),
            ]
        )
        self.assertSays('Chassis Power is off', done)
        self.assertIn(
            'best available cipher suite 17', done.stdout + done.stderr
        )

    def test_suite_that_is_not_spoken_is_refused(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(cipher_suites=(3,)))
        done = self.ipmitool(bmc, 'power', 'status', suite=17)
        self.assertNotEqual(0, done.returncode)
        self.assertSays('off', self.ipmitool(bmc, 'power', 'status', suite=3))

    def test_reset_of_a_machine_that_is_off_is_refused(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(power='off'))
        done = self.ipmitool(bmc, 'power', 'reset')
        self.assertIn('not supported in present state', done.stderr)
        self.assertEqual([], bmc.actions)

    def test_boot_device(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        self.ipmitool(
            bmc, 'chassis', 'bootdev', 'pxe', 'options=efiboot,persistent'
        )
        self.assertEqual('pxe', bmc.boot_device)
        self.assertTrue(bmc.boot_persistent)
        done = self.ipmitool(bmc, 'chassis', 'bootparam', 'get', '5')
        self.assertSays('Force PXE', done)
        self.assertSays('Options apply to all future boots', done)
        self.assertSays('BIOS EFI boot', done)
        self.ipmitool(bmc, 'chassis', 'bootdev', 'disk')
        self.assertFalse(bmc.boot_persistent)
        self.ipmitool(bmc, 'power', 'on')
        done = self.ipmitool(bmc, 'chassis', 'bootparam', 'get', '5')
        self.assertSays('Boot Flag Invalid', done)

    def test_one_time_flag_is_dropped_unless_told_to_keep_it(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        state = bmc.service.ipmi.state
        self.ipmitool(bmc, 'chassis', 'bootdev', 'pxe')
        state.tick(bmc.service.ipmi, time.monotonic() + 59)
        self.assertEqual('pxe', bmc.boot_device)
        state.tick(bmc.service.ipmi, time.monotonic() + 61)
        self.assertEqual('none', bmc.boot_device)
        self.ipmitool(bmc, 'raw', '0x00', '0x08', '0x03', '0x08')
        self.ipmitool(bmc, 'chassis', 'bootdev', 'pxe')
        state.boot_flag_clearing = 0x08
        state.tick(bmc.service.ipmi, time.monotonic() + 61)
        self.assertEqual('pxe', bmc.boot_device)

    def test_identify_light(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        self.ipmitool(bmc, 'chassis', 'identify', 'force')
        self.assertTrue(bmc.chassis.indicator.is_lit)
        self.assertIsNone(bmc.chassis.indicator.until)
        self.ipmitool(bmc, 'chassis', 'identify', '0')
        self.assertFalse(bmc.chassis.indicator.is_lit)

    def test_inventory(self):
        bmc = self.useFixture(
            emulated.EmulatedIpmi(
                manufacturer='Contoso', manufacturer_id=10876, product='C-1'
            )
        )
        self.assertSays('Contoso', self.ipmitool(bmc, 'fru'))
        done = self.ipmitool(bmc, 'mc', 'info')
        self.assertSays('Manufacturer ID           : 10876', done)
        self.assertSays('IPMI Version              : 2.0', done)
        done = self.ipmitool(bmc, 'mc', 'guid')
        self.assertSays(str(bmc.chassis.asset.uuid), done)
        done = self.ipmitool(bmc, 'lan', 'print', '1')
        self.assertSays('MAC Address             : 02:', done)
        self.assertSays('3,17', done)
        self.assertSays('admin', self.ipmitool(bmc, 'user', 'list', '1'))
        self.assertSays('true', self.ipmitool(bmc, 'sol', 'info', '1'))

    def test_sensors_follow_power_and_faults(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(power='off'))
        done = self.ipmitool(bmc, 'sdr', 'elist')
        self.assertSays('23 degrees C', done)
        self.assertRegex(done.stdout, r'CPU1 Temp .*(No Reading|ns)')
        bmc.power = 'on'
        bmc.set_reading('CPU1 Temp', 97)
        done = self.ipmitool(bmc, 'sdr', 'elist')
        self.assertRegex(done.stdout, r'CPU1 Temp .*\| ucr \|.* 97 degrees C')
        self.assertRegex(done.stdout, r'Fan1 .*5600 RPM')
        self.assertRegex(done.stdout, r'12V Rail .*12.10 Volts')
        self.assertRegex(done.stdout, r'Pwr Consumption .*180 Watts')

    def test_parts_that_fail(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(parts=sensors.PARTS))
        well = self.ipmitool(bmc, 'sdr', 'elist').stdout
        self.assertRegex(well, r'PSU1 Status .*Presence detected\n')
        self.assertRegex(well, r'Drive 0 .*Drive Present\n')
        for part in sensors.PARTS:
            bmc.set_reading(part.name, part.failed)
        done = self.ipmitool(bmc, 'sdr', 'elist')
        self.assertRegex(done.stdout, r'PSU1 Status .*Failure detected')
        self.assertRegex(done.stdout, r'DIMM A1 .*Uncorrectable ECC')
        self.assertRegex(done.stdout, r'Drive 0 .*Drive Fault')

    def test_event_log(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        self.ipmitool(bmc, 'power', 'on')
        self.assertSays('Power', self.ipmitool(bmc, 'sel', 'list'))
        self.ipmitool(bmc, 'sel', 'clear')
        done = self.ipmitool(bmc, 'sel', 'info')
        self.assertSays('Entries          : 0', done)

    def test_privilege_is_limited(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(max_privilege=3))
        refused = self.ipmitool(bmc, 'power', 'on')
        self.assertNotEqual(0, refused.returncode)
        self.assertEqual('off', bmc.power)
        done = self.ipmitool(bmc, 'power', 'on', extra=('-L', 'OPERATOR'))
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual('on', bmc.power)

    def test_user_level_may_look_only(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(max_privilege=2))
        done = self.ipmitool(bmc, 'power', 'status', extra=('-L', 'USER'))
        self.assertSays('off', done)
        done = self.ipmitool(bmc, 'power', 'on', extra=('-L', 'USER'))
        self.assertIn('Insufficient privilege level', done.stderr)

    def test_two_key_login(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(kg='a-bmc-key'))
        refused = self.ipmitool(bmc, 'power', 'status')
        self.assertNotEqual(0, refused.returncode)
        done = self.ipmitool(bmc, 'power', 'status', extra=('-k', 'a-bmc-key'))
        self.assertSays('off', done)


class TestFreeipmi(IpmiTestCase):
    def _freeipmi(self, program, bmc, *words, suite=17):
        return run(
            [
                *(program, '-D', 'LAN_2_0', '-I', str(suite)),
                *('-h', f'{emulated.ADDRESS}:{bmc.port}'),
                *('-u', bmc.username, '-p', bmc.password),
                *words,
            ]
        )

    def test_power_with_both_suites(self):
        for suite in (3, 17):
            bmc = self.useFixture(emulated.EmulatedIpmi(power='off'))
            done = self._freeipmi('ipmipower', bmc, '--on', suite=suite)
            self.assertSays(': ok', done)
            self.assertEqual('on', bmc.power)
            done = self._freeipmi('ipmipower', bmc, '--stat', suite=suite)
            self.assertSays(': on', done)

    def test_controller_and_chassis(self):
        bmc = self.useFixture(emulated.EmulatedIpmi(power='on'))
        done = self._freeipmi('bmc-info', bmc)
        self.assertSays('IPMI Version          : 2.0', done)
        done = self._freeipmi('ipmi-chassis', bmc, '--get-chassis-status')
        self.assertSays('System Power                        : on', done)


class TestPyghmi(IpmiTestCase):
    def test_both_hashes(self):
        for suites in ((17, 3), (3,)):
            bmc = self.useFixture(emulated.EmulatedIpmi(cipher_suites=suites))
            session = self.log_in(bmc)
            self.assertEqual({'powerstate': 'off'}, session.get_power())
            session.set_power('on', wait=True)
            session.set_bootdev('network', persist=True, uefiboot=True)
            self.assertEqual('network', session.get_bootdev()['bootdev'])
            self.assertEqual(
                {
                    'Inlet Temp',
                    'CPU1 Temp',
                    'Fan1',
                    'Fan2',
                    '12V Rail',
                    'Pwr Consumption',
                },
                {one.name for one in session.get_sensor_data()},
            )
            self.assertEqual(0, session.get_health()['health'])

    def test_wrong_password(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        # Without onlogon, pyghmi may raise before it knows its own message.
        answers = []
        pyghmi_command.Command(
            emulated.ADDRESS,
            bmc.username,
            'wrong',
            port=bmc.port,
            onlogon=lambda answer, _command: answers.append(answer),
        )
        deadline = time.monotonic() + PATIENCE_S
        while not answers and time.monotonic() < deadline:
            pyghmi_command.Command.wait_for_rsp(0.1)
        self.assertIn('Incorrect password', answers[0]['error'])


class TestSessions(IpmiTestCase):
    def test_closed_sessions_free_their_slots(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        for _ in range(7):
            self.assertSays('off', self.ipmitool(bmc, 'power', 'status'))
        # ipmitool does not wait for the answer to its last request.
        deadline = time.monotonic() + PATIENCE_S
        while bmc.sessions and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(0, bmc.sessions)

    def test_wrong_passwords_do_not_use_slots_up(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        for _ in range(4):
            done = self.ipmitool(bmc, 'power', 'status', password='wrong')
            self.assertNotEqual(0, done.returncode)
        self.assertSays('off', self.ipmitool(bmc, 'power', 'status'))

    def test_several_at_once(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        self.log_in(bmc)
        self.assertEqual(1, bmc.sessions)
        self.assertSays('off', self.ipmitool(bmc, 'power', 'status'))
        self.assertEqual(1, bmc.sessions)

    def test_two_bmcs_and_their_clients_in_one_process(self):
        first = self.useFixture(emulated.EmulatedIpmi(power='on'))
        second = self.useFixture(emulated.EmulatedIpmi(power='off'))
        one, two = self.log_in(first), self.log_in(second)
        self.assertEqual({'powerstate': 'on'}, one.get_power())
        self.assertEqual({'powerstate': 'off'}, two.get_power())

    def test_silent_client_loses_its_slot(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        self.log_in(bmc)
        [session] = bmc.service.ipmi._sessions.values()
        session.last_seen -= 59
        time.sleep(0.5)
        self.assertEqual(1, bmc.sessions)
        session.last_seen -= 2
        time.sleep(0.5)
        self.assertEqual(0, bmc.sessions)

    def test_slots_run_out(self):
        """Handshakes that nobody ends hold their slots for ten seconds."""
        bmc = self.useFixture(emulated.EmulatedIpmi())
        request = bytes.fromhex('0600ff07 0610 00000000 00000000 2000')
        request += bytes(4) + b'\x01\x02\x03\x04'
        for kind, algorithm in ((0, 1), (1, 1), (2, 1)):
            request += bytes([kind, 0, 0, 8, algorithm, 0, 0, 0])
        statuses = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE_S)
            for _ in range(6):
                client.sendto(request, (emulated.ADDRESS, bmc.port))
                statuses.append(client.recv(100)[17])
        self.assertEqual([0, 0, 0, 0, 0, 1], statuses)

    def test_restart_forgets_sessions(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        self.log_in(bmc)
        bmc.restart(0.2)
        time.sleep(0.5)
        self.assertEqual(0, bmc.sessions)
        self.assertSays('off', self.ipmitool(bmc, 'power', 'status'))


class TestFaults(IpmiTestCase):
    def test_off(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        bmc.faults.off = True
        done = self.ipmitool(
            bmc, 'power', 'status', extra=('-R', '1', '-N', '1')
        )
        self.assertIn('Unable to establish', done.stderr)
        bmc.faults.off = False
        self.assertSays('off', self.ipmitool(bmc, 'power', 'status'))

    def test_wrong_password(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        bmc.faults.wrong_password = True
        done = self.ipmitool(bmc, 'power', 'status')
        self.assertNotEqual(0, done.returncode)

    def test_slow_bmc_acts_once(self):
        """A client that asks again does not cycle the power twice."""
        bmc = self.useFixture(emulated.EmulatedIpmi(power='on'))
        session = self.log_in(bmc)
        bmc.faults.delay_s = 2.5
        session.set_power('reset')
        bmc.faults.delay_s = 0
        self.assertEqual(['reset'], bmc.actions)

    def test_losses_are_overcome(self):
        bmc = self.useFixture(emulated.EmulatedIpmi())
        bmc.faults.drop_percent = 30
        done = self.ipmitool(
            bmc, 'power', 'status', extra=('-N', '1', '-R', '12')
        )
        self.assertSays('off', done)
