# SPDX-License-Identifier: Apache-2.0
"""What pyghmi 1.6 stumbles over, seen there and not with us.

Each test shows the defect first, in a process of its own, so that one that
upstream repairs is found out: then what was built around it may go.
"""

import contextlib
import os
import resource
import subprocess
import sys
import threading
import time

import fixtures
from oslotest import base
from pyghmi.ipmi.private import session as pyghmi_session

from tests import bmcs
from tests.unit.bmc import plain
from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials, ipmi, pool, rmcp
from zsbm_ironic.common import exception
from zsbm_ironic.lab.emulator import fixtures as emulated

On = bmc_base.PowerState.ON
# That a loaded machine needs to start Python and pyghmi.
STARTING_S = 60
# After so long pyghmi still waits for a dead BMC; we do not.
PATIENCE_S = 12


def as_it_is(case, *ports):
    """Start pyghmi as it is at a case."""
    return subprocess.Popen(
        [sys.executable, '-m', plain.__name__, case, *map(str, ports)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestPyghmi(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(emulated.EmulatedIpmi('on'))

    def outcome(self, case, *ports):
        process = as_it_is(case, *ports)
        try:
            return process.communicate(timeout=STARTING_S)[0].strip()
        finally:
            process.kill()
            process.wait()

    def log_in(self, bmc=None):
        info = (bmc or self.bmc).driver_info()
        found = ipmi.IpmiBmc(credentials.Credentials.from_driver_info(info))
        self.addCleanup(found.close)
        return found

    def test_login_after_logout(self):
        self.assertIn('TypeError', self.outcome('again', self.bmc.port))
        for _ in range(3):
            one = self.log_in()
            self.assertIs(On, one.get_power())
            one.close()

    def test_sha1_in_answer_to_sha256(self):
        other = self.useFixture(bmcs.PyghmiBmc())
        self.assertIn(
            'pack expected 32 items', self.outcome('sha1', other.port)
        )
        one = self.log_in(other)
        self.assertEqual(3, one.cipher_suite)
        self.assertIs(bmc_base.PowerState.OFF, one.get_power())

    def test_sockets_above_1023(self):
        process = as_it_is('descriptors', self.bmc.port)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        for line in process.stderr:
            if 'out of range in select()' in line:
                break
        # Its thread is gone, and who asked is not told.
        self.assertIsNone(process.poll())
        before = bmcs.allow_files(4096)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        with contextlib.ExitStack() as taken:
            for _ in range(1100):
                taken.callback(os.close, os.open(os.devnull, os.O_RDONLY))
            one = self.log_in()
            self.assertGreater(one.session.socket.fileno(), 1023)
            self.assertIs(On, one.get_power())

    def test_queue_of_sessions(self):
        waiting = int(self.outcome('queue', self.bmc.port))
        self.assertGreaterEqual(waiting, plain.COMMANDS)
        one = self.log_in()
        for _ in range(plain.COMMANDS):
            one.get_power()
        self.assertEqual(0, len(pyghmi_session.sessionqueue))
        for kept in (
            one.session.pktqueue,
            one.session.evq,
            one.session.pendingpayloads,
            one.session.request_entry,
            one.session.tabooseq,
        ):
            self.assertEqual(0, len(kept))

    def test_wake_ups(self):
        others = [
            self.useFixture(emulated.EmulatedIpmi('on')) for _ in range(3)
        ]
        ports = [bmc.port for bmc in (self.bmc, *others)]
        self.assertGreater(int(self.outcome('stalls', *ports)), 0)
        sessions = [self.log_in(bmc) for bmc in (self.bmc, *others)]
        self.assertEqual(
            0, plain.count_stalls([one.get_power for one in sessions])
        )

    def test_death_in_a_held_session(self):
        process = as_it_is('death', self.bmc.port)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.assertEqual('"on"\n', process.stdout.readline())
        sessions = pool.Pool()
        self.addCleanup(sessions.close)
        found = credentials.Credentials.from_driver_info(
            self.bmc.driver_info()
        )

        def ask(function=lambda bmc: bmc.get_power()):
            return sessions.call('node', found, function)

        self.assertIs(On, ask())
        # Only so that the test is quick: ours would be 8 and 15 s, each for
        # the one who asks alone.
        for name in ('COMMAND_S', 'LOGIN_S'):
            self.useFixture(fixtures.MockPatchObject(rmcp, name, 3.0))
        self.bmc.faults.off = True
        process.stdin.write('\n')
        process.stdin.flush()
        began = time.monotonic()
        self.assertRaises(exception.BmcUnreachable, ask)
        self.assertLess(time.monotonic() - began, PATIENCE_S)
        time.sleep(max(0.0, began + PATIENCE_S - time.monotonic()))
        self.assertIsNone(process.poll())
        # No object is left broken behind.
        self.bmc.faults.off = False
        self.assertIs(On, ask())

    def test_death_before_a_login(self):
        """Who waits for a dead BMC to log in keeps nobody else."""
        dead = self.useFixture(emulated.EmulatedIpmi('on'))
        dead.faults.off = True
        sessions = pool.Pool()
        self.addCleanup(sessions.close)
        outcome = []

        def ask(bmc):
            return sessions.call(
                str(bmc.port),
                credentials.Credentials.from_driver_info(bmc.driver_info()),
                lambda one: one.get_power(),
            )

        def wait():
            try:
                ask(dead)
            except exception.BmcUnreachable as exc:
                outcome.append(exc)

        waiting = threading.Thread(target=wait)
        waiting.start()
        for _ in range(plain.COMMANDS):
            self.assertIs(On, ask(self.bmc))
        self.assertEqual([], outcome)
        waiting.join(2 * rmcp.LOGIN_S)
        self.assertEqual(1, len(outcome))
