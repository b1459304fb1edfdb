# SPDX-License-Identifier: Apache-2.0
"""Redfish against the unmodified sushy-emulator over HTTPS."""

import time

import fixtures
from oslotest import base

from tests import bmcs
from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials, pool, redfish, rmcp
from zsbm_ironic.common import exception

LEFT_OPEN = 'zsbm_ironic.bmc.redfish._left_open'
CLOSING_S = 10


class TestRedfish(base.BaseTestCase):
    """One emulator for all: starting it takes longer than a test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.bmc = bmcs.SushyToolsBmc()
        cls.bmc.setUp()
        cls.addClassCleanup(cls.bmc.cleanUp)

    def credentials(self, **changes):
        info = self.bmc.driver_info(bmc_protocol='redfish', **changes)
        return credentials.Credentials.from_driver_info(
            {key: value for key, value in info.items() if value is not None}
        )

    def log_in(self, **changes):
        found = redfish.RedfishBmc(self.credentials(**changes))
        self.addCleanup(found.close)
        return found

    def test_what_it_tells(self):
        bmc = self.log_in()
        self.assertIs(bmc_base.PowerState.OFF, bmc.get_power())
        self.assertIs(bmc_base.BootDevice.DISK, bmc.get_boot_device().device)
        self.assertTrue(bmc.get_boot_device().efi)
        self.assertEqual(('00:5c:52:31:3a:9c',), bmc.macs())
        self.assertIs(bmc_base.Health.OK, bmc.health())
        self.assertIs(False, bmc.secure_boot())
        self.assertEqual('Sushy Emulator', bmc.vendor().manufacturer)
        self.assertTrue(bmc.system_id.startswith('/redfish/v1/Systems/'))
        self.assertEqual(self.bmc.fingerprint, bmc.certificate.fingerprint)

    def test_sensors_have_units(self):
        readings = self.log_in().sensors()
        self.assertEqual(
            {'Temperature', 'Fan'},
            {reading.kind for reading in readings},
        )
        for reading in readings:
            self.assertIn(reading.unit, ('C', 'RPM', '%', 'W'))
            self.assertIs(bmc_base.Health.OK, reading.health)

    def test_wrong_password(self):
        found = self.assertRaises(
            exception.BmcCredentialsRefused, self.log_in, bmc_password='x'
        )
        self.assertIn('HTTP 401', str(found))

    def test_a_wrong_password_is_not_tried_on_sessions_left_open(self):
        url = f'https://{bmcs.ADDRESS}:{self.bmc.port}'
        path = '/redfish/v1/SessionService/Sessions/c467719a'
        left = {url: {path}, f'{url}0': {path}}
        self.useFixture(fixtures.MonkeyPatch(LEFT_OPEN, left))
        log = self.bmc.directory / 'log'
        before = log.read_text().count('" 401 ')
        self.assertRaises(
            exception.BmcCredentialsRefused, self.log_in, bmc_password='x'
        )
        # By a session, then by basic authentication.
        self.assertEqual(2, log.read_text().count('" 401 ') - before)
        self.assertIn(url, left)
        self.log_in()
        self.assertEqual([f'{url}0'], list(left))
        self.assertIn(f'GET {path} ', log.read_text())

    def test_no_password_before_the_certificate_is_trusted(self):
        log = self.bmc.directory / 'log'
        before = log.read_text().count('/redfish')
        self.assertRaises(
            exception.BmcCertificateUntrusted,
            self.log_in,
            bmc_cert_fingerprint=None,
        )
        self.assertEqual(before, log.read_text().count('/redfish'))

    def test_a_certificate_that_changes_in_a_held_session(self):
        bmc = self.log_in()
        self.bmc.stop()
        self.bmc.renew_certificate()
        self.bmc.start()
        self.assertRaises(exception.BmcCertificateChanged, bmc.get_power)

    def test_a_dead_bmc(self):
        bmc = self.log_in()
        self.bmc.stop()
        self.addCleanup(self.bmc.start)
        started = time.monotonic()
        self.assertRaises(exception.BmcUnreachable, bmc.get_power)
        self.assertLess(time.monotonic() - started, 10)
        bmc.close()
        bmc.close()


class TestPool(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        self.pool = pool.Pool()
        self.addCleanup(self.pool.close)

    def credentials(self, **changes):
        return credentials.Credentials.from_driver_info(
            self.bmc.driver_info(**changes)
        )

    def ask(self, owner='node-1', **kwargs):
        return self.pool.call(
            owner, self.credentials(), lambda bmc: bmc.session, **kwargs
        )

    def wait_until(self, held):
        """Sessions of others are closed beside the work, not in it."""
        deadline = time.monotonic() + CLOSING_S
        while len(self.pool) > held and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(held, len(self.pool))

    def test_a_session_is_held_and_shared(self):
        self.assertIs(self.ask(), self.ask())
        self.assertEqual(1, len(self.pool))
        self.assertIsNot(self.ask(), self.ask('node-2'))

    def test_not_held_where_the_operator_says_so(self):
        first = self.ask(hold=False)
        self.assertEqual(0, len(self.pool))
        self.assertTrue(first.broken)

    def test_new_credentials_are_a_new_login(self):
        first = self.ask()
        self.assertRaises(
            exception.BmcCredentialsRefused,
            self.pool.call,
            'node-1',
            self.credentials(bmc_password='other'),
            lambda bmc: bmc.get_power(),
        )
        self.assertTrue(first.broken)
        self.assertEqual(0, len(self.pool))

    def test_dropped_when_the_node_moves(self):
        first = self.ask()
        kept = self.ask('node-2')
        self.pool.keep_only({'node-2'})
        self.wait_until(held=1)
        self.assertFalse(kept.broken)
        self.pool.close()
        self.assertTrue(first.broken)

    def test_idle_ones_are_closed(self):
        self.pool = pool.Pool(idle_s=0.1)
        first = self.ask()
        time.sleep(0.2)
        self.pool._swept_at = 0
        self.ask('node-2')
        self.wait_until(held=1)
        self.pool.close()
        self.assertTrue(first.broken)

    def test_no_more_than_the_limit(self):
        self.pool = pool.Pool(max_sessions=2)
        for number in range(6):
            self.pool._swept_at = 0
            self.ask(f'node-{number}')
        # Swept before the last one logged in.
        self.wait_until(held=3)

    def test_a_bmc_that_forgot_the_session_is_logged_in_to_again(self):
        # Only so that the test is quick.
        self.useFixture(fixtures.MockPatchObject(rmcp, 'COMMAND_S', 2.0))
        relay = self.useFixture(bmcs.LossyUdp(self.bmc.port))
        found = self.credentials(bmc_port=relay.port)
        self.pool.call('node-1', found, lambda bmc: bmc.get_power())
        forgotten = True

        def forget(packet):
            # Authenticated payloads of the old session go nowhere.
            nonlocal forgotten
            if packet[4] == 0:
                forgotten = False
            return forgotten

        relay.refuse = forget
        self.pool.call(
            'node-1',
            found,
            lambda bmc: bmc.set_power(bmc_base.PowerAction.ON),
            once=True,
        )
        self.assertEqual(['on'], self.bmc.machine.actions)
