# SPDX-License-Identifier: Apache-2.0
"""IPMI against pyghmi's unmodified BMC, with ipmitool as the witness."""

import os
import socket
import subprocess
import threading
import time

import fixtures
from oslotest import base
from pyghmi.ipmi.private import session as pyghmi_session

from tests import bmcs
from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials, ipmi, rmcp
from zsbm_ironic.common import exception

On = bmc_base.PowerState.ON
Off = bmc_base.PowerState.OFF


def log_in(info, login_s=15):
    found = credentials.Credentials.from_driver_info(info)
    return ipmi.IpmiBmc(found, login_s)


def ipmitool(bmc, *words):
    done = subprocess.run(
        [
            '/usr/bin/ipmitool',
            *('-I', 'lanplus', '-C', '3', '-H', bmcs.ADDRESS),
            *('-p', str(bmc.port), '-U', bmcs.USER, '-P', bmcs.PASSWORD),
            *words,
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.strip()


class TestIpmi(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        self.machine = self.bmc.machine

    def log_in(self, **changes):
        found = log_in(self.bmc.driver_info(**changes))
        self.addCleanup(found.close)
        return found

    def test_a_bmc_that_answers_sha1_to_sha256_is_logged_in_to(self):
        self.assertEqual(3, self.log_in().cipher_suite)

    def test_power(self):
        bmc = self.log_in()
        self.assertIs(Off, bmc.get_power())
        bmc.set_power(bmc_base.PowerAction.ON)
        self.assertIs(On, bmc.get_power())
        self.assertEqual(
            'Chassis Power is on', ipmitool(self.bmc, 'power', 'status')
        )
        bmc.set_power(bmc_base.PowerAction.SOFT_OFF)
        bmc.set_power(bmc_base.PowerAction.NMI)
        bmc.set_power(bmc_base.PowerAction.RESET)
        self.assertEqual(['on', 'soft', 'diag', 'reset'], self.machine.actions)

    def test_boot_device(self):
        bmc = self.log_in()
        for device, words in (
            (bmc_base.BootDevice.PXE, 'Force PXE'),
            (bmc_base.BootDevice.DISK, 'Force Boot from default Hard-Drive'),
            (bmc_base.BootDevice.CDROM, 'Force Boot from CD/DVD'),
            (bmc_base.BootDevice.BIOS, 'Force Boot into BIOS Setup'),
        ):
            bmc.set_boot_device(bmc_base.BootSetting(device, True))
            self.assertIs(device, bmc.get_boot_device().device)
            seen = ipmitool(self.bmc, 'chassis', 'bootparam', 'get', '5')
            self.assertIn(words, seen)

    def test_what_the_bmc_does_not_do(self):
        bmc = self.log_in()
        self.assertEqual((), bmc.sensors())
        self.assertIs(bmc_base.Health.UNKNOWN, bmc.health())
        self.assertEqual((), bmc.macs())
        self.assertIsNone(bmc.is_identifying())
        self.assertRaises(exception.BmcUnsupported, bmc.identify, True)
        self.assertEqual('1.00', bmc.vendor().bmc_firmware)

    def test_wrong_password(self):
        found = self.assertRaises(
            exception.BmcCredentialsRefused,
            self.log_in,
            bmc_password='wrong',
        )
        self.assertIn('bmc_username and bmc_password', str(found))

    def test_closing_twice_and_asking_after(self):
        bmc = self.log_in()
        bmc.close()
        bmc.close()
        self.assertRaises(exception.BmcUnreachable, bmc.get_power)

    def test_sessions_of_two_users_at_once(self):
        found = [self.log_in() for _ in range(5)]
        for bmc in found:
            self.assertIs(Off, bmc.get_power())

    def test_threads_do_not_wait_for_each_other(self):
        """A lost wake-up costs pyghmi half a second, 200 of them minutes."""
        sessions = [self.log_in() for _ in range(4)]

        def work(bmc):
            for _ in range(50):
                bmc.get_power()

        threads = [
            threading.Thread(target=work, args=(bmc,)) for bmc in sessions
        ]
        started = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLess(time.monotonic() - started, 5)

    def test_nothing_of_ours_is_in_the_shared_registry(self):
        bmc = self.log_in()
        for registry in (
            pyghmi_session.Session.keepalive_sessions,
            pyghmi_session.Session.waiting_sessions,
            pyghmi_session.Session.initting_sessions,
        ):
            self.assertNotIn(bmc.session, registry)
        self.assertNotIn(bmc.session.socket, pyghmi_session.Session.socketpool)

    def test_the_slot_is_freed_at_close(self):
        seen = []
        relay = self.useFixture(bmcs.LossyUdp(self.bmc.port))
        relay.refuse = lambda packet: seen.append(bytes(packet))
        self.log_in(bmc_port=relay.port).close()
        deadline = time.monotonic() + 2
        count = len(seen)
        while len(seen) == count and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertGreater(len(seen), 5)


class TestLoss(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        self.relay = self.useFixture(bmcs.LossyUdp(self.bmc.port))
        # Only so that the tests are quick.
        self.useFixture(fixtures.MockPatchObject(rmcp, 'COMMAND_S', 3.0))
        self.useFixture(fixtures.MockPatchObject(ipmi, 'LOOK_S', 1.0))

    def log_in(self, login_s=15):
        info = self.bmc.driver_info(bmc_port=self.relay.port)
        found = log_in(info, login_s)
        self.addCleanup(found.close)
        return found

    def test_thirty_per_cent_loss_gives_no_wrong_state(self):
        self.relay.loss = 0.3
        bmc = self.log_in()
        for action, state in (
            (bmc_base.PowerAction.ON, On),
            (bmc_base.PowerAction.OFF, Off),
        ) * 2:
            bmc.set_power(action)
            self.assertIs(state, bmc.get_power())

    def test_a_lost_answer_does_not_repeat_a_reset(self):
        bmc = self.log_in()
        self.relay.loss = 0.0

        def deaf_from_now_on(packet):
            # The request arrives, nothing comes back.
            threading.Timer(0.0, setattr, (self.relay, 'loss', 1.0)).start()
            return False

        self.relay.refuse = deaf_from_now_on
        self.bmc.machine.power = 'on'
        found = self.assertRaises(
            exception.BmcUnconfirmed,
            bmc.set_power,
            bmc_base.PowerAction.RESET,
        )
        self.assertIn('not asked twice', str(found))
        self.assertLessEqual(self.bmc.machine.actions.count('reset'), 1)

    def test_a_dead_bmc_is_given_up_in_time(self):
        bmc = self.log_in()
        self.relay.loss = 1.0
        started = time.monotonic()
        self.assertRaises(exception.BmcUnreachable, bmc.get_power)
        self.assertLess(time.monotonic() - started, 10)

    def test_a_silent_address(self):
        self.relay.loss = 1.0
        started = time.monotonic()
        found = self.assertRaises(exception.BmcUnreachable, self.log_in, 3)
        self.assertLess(time.monotonic() - started, 5)
        self.assertIn(str(self.relay.port), str(found))
        self.assertIn('bmc_address', str(found))


class TestGarbage(base.BaseTestCase):
    def test_a_liar_is_given_up(self):
        """Anything but IPMI on the port is dropped, not believed."""
        liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        liar.bind((bmcs.ADDRESS, 0))
        self.addCleanup(liar.close)

        def lie():
            for _ in range(100):
                try:
                    packet, sender = liar.recvfrom(2048)
                except OSError:
                    return
                for answer in (
                    b'',
                    b'\x06\x00\xff\x07' + b'\xff' * 40,
                    packet,
                    packet[:18],
                    os.urandom(60),
                ):
                    liar.sendto(answer, sender)

        threading.Thread(target=lie, daemon=True).start()
        self.assertRaises(
            exception.ZsbmError,
            log_in,
            {
                'bmc_address': bmcs.ADDRESS,
                'bmc_port': liar.getsockname()[1],
                'bmc_protocol': 'ipmi',
                'bmc_username': 'a',
                'bmc_password': 'b',
            },
            4,
        )
