# SPDX-License-Identifier: Apache-2.0
"""Sessions with many BMCs at once."""

import resource
import time

from oslotest import base as test_base

from zsbm_ironic.bmc import base, pool
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception
from zsbm_ironic.lab.emulator import fixtures as emulated
from zsbm_ironic.lab.emulator import fleet

BMCS = 40


class FilesTest(test_base.BaseTestCase):
    def allow(self, soft):
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)

    def test_as_many_as_files_allow(self):
        self.allow(1024)
        self.assertEqual(1024 - pool.OTHER_FILES, pool.allowed_sessions())

    def test_one_at_least(self):
        self.allow(pool.OTHER_FILES)
        self.assertEqual(1, pool.allowed_sessions())


class HeldTest(test_base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.fleet = fleet.Fleet(fleet.Plan(ipmi=BMCS, ipmi_port=0))
        self.addCleanup(self.fleet.stop)

    def powers(self, sessions):
        return [
            sessions.call(
                one.name,
                bmc_credentials.Credentials.from_driver_info(
                    self.fleet.driver_info(one)
                ),
                lambda bmc: bmc.get_power(),
            )
            for one in self.fleet.members
        ]

    def test_each_keeps_its_session(self):
        sessions = pool.Pool()
        self.addCleanup(sessions.close)
        for _ in range(2):
            self.assertEqual(
                [base.PowerState.ON] * BMCS, self.powers(sessions)
            )
            self.assertEqual(BMCS, len(sessions))

    def test_none_is_held_once_it_is_closed(self):
        sessions = pool.Pool()
        self.powers(sessions)
        sessions.close()
        # A deploy that is still going on has its questions answered.
        self.assertEqual([base.PowerState.ON] * BMCS, self.powers(sessions))
        self.assertEqual(0, len(sessions))

    def test_too_many_for_the_files_are_asked_all_the_same(self):
        sessions = pool.Pool(max_sessions=BMCS // 2)
        self.addCleanup(sessions.close)
        self.assertEqual([base.PowerState.ON] * BMCS, self.powers(sessions))


class RefusedTest(test_base.BaseTestCase):
    def test_nobody_but_a_person_tries_it_again_and_again(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        bmc.faults.wrong_password = True
        read = bmc_credentials.Credentials.from_driver_info(bmc.driver_info())
        sessions = pool.Pool()
        self.addCleanup(sessions.close)

        def ask(**more):
            return sessions.call(
                'node', read, lambda one: one.get_power(), **more
            )

        refused = exception.BmcCredentialsRefused
        self.assertRaises(refused, ask, unasked=True)
        bmc.faults.wrong_password = False
        self.assertRaises(refused, ask, unasked=True)
        self.assertIs(base.PowerState.ON, ask())
        self.assertIs(base.PowerState.ON, ask(unasked=True))


class SweepTest(test_base.BaseTestCase):
    def test_dead_bmcs_do_not_keep_who_asks_another(self):
        sessions = pool.Pool(idle_s=0.2)
        self.addCleanup(sessions.close)
        dead = [self.useFixture(emulated.EmulatedRedfish()) for _ in range(3)]
        living = self.useFixture(emulated.EmulatedIpmi('on'))

        def ask(name, bmc):
            return sessions.call(
                name,
                bmc_credentials.Credentials.from_driver_info(
                    bmc.driver_info()
                ),
                lambda one: one.get_power(),
            )

        for number, bmc in enumerate(dead):
            ask(str(number), bmc)
            bmc.faults.off = True
        time.sleep(pool.SWEEP_S)
        began = time.monotonic()
        self.assertIs(base.PowerState.ON, ask('living', living))
        self.assertLess(time.monotonic() - began, 3)
