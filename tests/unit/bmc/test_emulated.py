# SPDX-License-Identifier: Apache-2.0
"""Both protocols against the lab's BMCs: what pyghmi's own cannot show."""

import json
import time
import types
from unittest import mock

import fixtures
import requests
from ironic.drivers.modules.redfish import management as redfish_management
from ironic.drivers.modules.redfish import utils as redfish_utils
from oslotest import base
from pyghmi.ipmi import sdr

from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials, ipmi, pool, redfish, rmcp
from zsbm_ironic.common import exception, ironic_compat
from zsbm_ironic.lab.emulator import event_log, sensors
from zsbm_ironic.lab.emulator import fixtures as emulated

On = bmc_base.PowerState.ON
Off = bmc_base.PowerState.OFF


def read(bmc, **changes):
    return credentials.Credentials.from_driver_info(
        {**bmc.driver_info(), **changes}
    )


class TestIpmi(base.BaseTestCase):
    def emulate(self, *args, **kwargs):
        return self.useFixture(emulated.EmulatedIpmi(*args, **kwargs))

    def log_in(self, bmc, **changes):
        found = ipmi.IpmiBmc(read(bmc, **changes), 5)
        self.addCleanup(found.close)
        return found

    def test_cipher_suites(self):
        both = self.emulate()
        self.assertEqual(17, self.log_in(both).cipher_suite)
        self.assertEqual(
            3, self.log_in(both, ipmi_cipher_suite=3).cipher_suite
        )
        old = self.emulate(cipher_suites=(3,))
        self.assertEqual(3, self.log_in(old).cipher_suite)
        new = self.emulate(cipher_suites=(17,))
        self.assertEqual(17, self.log_in(new).cipher_suite)

    def test_an_explicit_suite_is_not_weakened(self):
        old = self.emulate(cipher_suites=(3,))
        self.assertRaises(
            exception.ZsbmError, self.log_in, old, ipmi_cipher_suite=17
        )

    def test_two_key_login(self):
        bmc = self.emulate(kg='key-of-the-bmc')
        kg = b'key-of-the-bmc'.hex()
        self.assertIs(Off, self.log_in(bmc, ipmi_hex_kg_key=kg).get_power())
        self.assertRaises(exception.BmcCredentialsRefused, self.log_in, bmc)

    def test_privilege(self):
        bmc = self.emulate(max_privilege=3)
        self.assertIs(Off, self.log_in(bmc).get_power())
        self.assertIs(
            Off, self.log_in(bmc, ipmi_priv_level='OPERATOR').get_power()
        )

    def test_users_and_passwords(self):
        bmc = self.emulate()
        for wrong in (
            {'bmc_password': 'wrong'},
            {'bmc_username': 'nobody'},
        ):
            self.assertRaises(
                exception.BmcCredentialsRefused, self.log_in, bmc, **wrong
            )

    def test_sensors_have_names_units_and_health(self):
        bmc = self.emulate('on')
        found = {
            reading.name: reading for reading in self.log_in(bmc).sensors()
        }
        inlet = found['Inlet Temp']
        self.assertEqual((23.0, 'C'), (inlet.value, inlet.unit))
        self.assertIs(bmc_base.Health.OK, inlet.health)
        self.assertEqual('RPM', found['Fan1'].unit)
        self.assertEqual('V', found['12V Rail'].unit)
        self.assertAlmostEqual(12.1, found['12V Rail'].value, delta=0.2)
        self.assertEqual('W', found['Pwr Consumption'].unit)

    def test_health_is_the_worst_sensor(self):
        bmc = self.emulate('on')
        session = self.log_in(bmc)
        self.assertIs(bmc_base.Health.OK, session.health())
        bmc.set_reading('Inlet Temp', 39)
        self.assertIs(bmc_base.Health.WARNING, session.health())
        bmc.set_reading('Inlet Temp', 45)
        self.assertIs(bmc_base.Health.CRITICAL, session.health())

    def test_parts_that_fail(self):
        before = dict(sdr.shared_sdrs)
        # Of the same model and firmware, with fewer parts.
        neighbours = [self.log_in(self.emulate('on')) for _ in range(2)]
        names = [
            {one.name for one in neighbour.sensors()}
            for neighbour in neighbours
        ]
        self.assertEqual(names[0], names[1])
        bmc = self.emulate('on', parts=sensors.PARTS)
        for part in sensors.PARTS:
            bmc.set_reading(part.name, part.failed)
        found = {one.name: one for one in self.log_in(bmc).sensors()}
        self.assertNotIn(sensors.PARTS[0].name, names[0])
        for part in sensors.PARTS:
            self.assertIs(
                bmc_base.Health.CRITICAL, found[part.name].health, part
            )
        kept = [one._inventory.init_sdr().sensors for one in neighbours]
        self.assertIs(kept[0], kept[1])
        self.assertEqual(before, sdr.shared_sdrs)

    def test_entries_of_the_event_log_are_counted(self):
        bmc = self.emulate('on')
        session = self.log_in(bmc)
        self.assertEqual(0, session.logged_events())
        session.set_power(bmc_base.PowerAction.OFF)
        session.set_power(bmc_base.PowerAction.ON)
        self.assertEqual(2, session.logged_events())

    def test_vendor_and_identify_led(self):
        bmc = self.emulate(manufacturer_id=10876)
        session = self.log_in(bmc)
        vendor = session.vendor()
        self.assertEqual('Supermicro', vendor.manufacturer)
        self.assertEqual('Emulated server', vendor.model)
        session.identify(True)
        self.assertTrue(bmc.chassis.indicator.is_lit)
        self.assertTrue(session.is_identifying())
        session.identify(False)
        self.assertFalse(session.is_identifying())

    def test_boot_flags(self):
        bmc = self.emulate()
        session = self.log_in(bmc)
        for efi in (False, True):
            for persistent in (False, True):
                wanted = bmc_base.BootSetting(
                    bmc_base.BootDevice.PXE, persistent, efi
                )
                session.set_boot_device(wanted)
                self.assertEqual(wanted, session.get_boot_device())
                self.assertEqual('pxe', bmc.boot_device)
                self.assertEqual(persistent, bmc.boot_persistent)

    def test_the_slot_is_given_back(self):
        bmc = self.emulate()
        session = self.log_in(bmc)
        self.assertEqual(1, bmc.sessions)
        session.close()
        deadline = time.monotonic() + 5
        while bmc.sessions and time.monotonic() < deadline:
            time.sleep(0.02)
        self.assertEqual(0, bmc.sessions)

    def test_a_slow_bmc(self):
        bmc = self.emulate('on')
        bmc.faults.delay_s = 0.4
        session = self.log_in(bmc)
        self.assertIs(On, session.get_power())

    def test_a_slow_bmc_acts_once(self):
        bmc = self.emulate('on')
        session = self.log_in(bmc)
        bmc.faults.delay_s = 1.0
        session.set_power(bmc_base.PowerAction.RESET)
        self.assertEqual(['reset'], bmc.actions)

    def test_a_late_answer_is_not_the_next_ones(self):
        bmc = self.emulate('on')
        session = self.log_in(bmc)
        self.useFixture(fixtures.MockPatchObject(rmcp, 'COMMAND_S', 1.0))
        bmc.faults.delay_s = 1.5
        self.assertRaises(
            exception.BmcUnreachable,
            session.session.request,
            ipmi.CHASSIS,
            ipmi.IDENTIFY,
            (0, 1),
            resend=False,
        )
        bmc.faults.delay_s = 0.0
        for _ in range(5):
            self.assertIs(On, session.get_power())
            time.sleep(0.2)

    def test_loss(self):
        bmc = self.emulate('on')
        bmc.faults.drop_percent = 30
        session = ipmi.IpmiBmc(read(bmc))
        self.addCleanup(session.close)
        for _ in range(10):
            self.assertIs(On, session.get_power())


class TestPool(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.pool = pool.Pool()
        self.addCleanup(self.pool.close)
        # Only so that the tests are quick.
        self.useFixture(fixtures.MockPatchObject(rmcp, 'COMMAND_S', 2.0))

    def test_ipmi_after_the_bmc_restarted(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        ask = (lambda found: found.get_power(),)
        self.pool.call('node', read(bmc), *ask)
        bmc.restart(0.5)
        self.assertIs(On, self.pool.call('node', read(bmc), *ask))
        bmc.restart(0.5)
        self.pool.call(
            'node',
            read(bmc),
            lambda found: found.set_power(bmc_base.PowerAction.SOFT_OFF),
            once=True,
        )
        self.assertEqual(['soft'], bmc.actions)

    def test_redfish_after_the_bmc_restarted(self):
        bmc = self.useFixture(emulated.EmulatedRedfish('on'))
        for _ in range(2):
            found = self.pool.call(
                'node', read(bmc), lambda found: found.get_power()
            )
            self.assertIs(On, found)
            # Its sessions are gone; nothing else happened.
            bmc.restart(0.0)
            time.sleep(0.2)


class TestRedfish(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(emulated.EmulatedRedfish('on'))

    def log_in(self, **changes):
        found = redfish.RedfishBmc(read(self.bmc, **changes))
        self.addCleanup(found.close)
        return found

    def test_the_session_is_given_back(self):
        session = self.log_in()
        self.assertIs(On, session.get_power())
        held = self.bmc.sessions
        session.close()
        self.assertEqual(max(0, held - 1), self.bmc.sessions)
        self.assertEqual(0, self.bmc.sessions)

    def test_what_it_tells(self):
        session = self.log_in()
        self.assertEqual(self.bmc.system_path, session.system_id)
        self.assertEqual(('52:54:00:12:34:56',), session.macs())
        names = {reading.name: reading for reading in session.sensors()}
        self.assertEqual(23.0, names['Inlet Temp'].value)
        self.assertEqual('RPM', names['Fan1'].unit)

    def test_the_power_is_one_page_on_a_kept_connection(self):
        session = self.log_in()
        session.sensors()
        asked = []
        get = session._connector.get

        def watched(path, *args, **kwargs):
            asked.append(path)
            return get(path, *args, **kwargs)

        session._connector.get = watched
        for _ in range(3):
            self.assertIs(On, session.get_power())
            # Of the same page.
            self.assertIs(bmc_base.Health.OK, session.health())
        self.assertEqual(3 * [session.system_id], asked)
        session._read_at -= redfish.HEALTH_S
        session.health()
        self.assertEqual(4, len(asked))
        session.sensors()
        self.assertLess(5, len(asked))
        adapter = session._connector._session.get_adapter('https://')
        pools = adapter.poolmanager.pools
        self.assertEqual(
            [1], [pools[key].num_connections for key in pools.keys()]
        )

    def test_sensors_of_notifications_are_upstreams(self):
        session = self.log_in()
        upstream = redfish_management.RedfishManagement()
        node = types.SimpleNamespace(uuid='node-1')
        with mock.patch.object(
            redfish_utils, 'get_system', lambda node: session._system
        ):
            expected = upstream.get_sensors_data(
                types.SimpleNamespace(node=node)
            )
        self.assertEqual(2, len(expected['Fan']))
        self.assertNotEqual({}, expected['Drive'])
        found = session.read(
            'sensors',
            lambda system: ironic_compat.redfish_sensors(
                upstream, node, system
            ),
        )
        self.assertEqual(expected, found)

    def test_entries_of_the_event_log_are_counted(self):
        session = self.log_in()
        self.assertEqual(0, session.logged_events())
        for event in event_log.PowerEvent:
            self.bmc.chassis.log.power(event, 1)
        self.assertEqual(3, session.logged_events())

    def test_a_log_that_lies_is_no_log(self):
        for page in (
            'not json',
            '[]',
            '{"Members": [{"@odata.id": "https://192.0.2.9/redfish/x"}]}',
            '{"Members": [7]}',
            '{"Members@odata.count": "many"}',
        ):
            session = self.log_in()
            asked = []

            def answer(path, page=page, asked=asked):
                asked.append(path)
                found = requests.Response()
                found.status_code, found._content = 200, page.encode()
                return found

            session._connector.get = answer
            self.assertIsNone(session.logged_events())
            self.assertEqual(1, len(asked))
            session.close()

    def answer(self, session, status, body):
        def get(path):
            found = requests.Response()
            found.status_code, found._content = status, body.encode()
            return found

        session._system._conn.get = get

    def test_pages_that_are_none(self):
        for body in ('<html>', '[]', '7', '{"PowerState": []}'):
            session = self.log_in()
            self.answer(session, 200, body)
            found = self.assertRaises(
                exception.BmcCommandFailed, session.get_power
            )
            self.assertIn(emulated.ADDRESS, str(found))

    def test_a_system_without_a_status(self):
        session = self.log_in()
        session._system.refresh(force=True)
        page = {
            key: value
            for key, value in session._system.json.items()
            if key != 'Status'
        }
        self.answer(session, 200, json.dumps(page))
        self.assertIs(bmc_base.Health.UNKNOWN, session.health())

    def test_a_slot_that_could_not_be_given_back_is_later(self):
        session = self.log_in()
        self.bmc.change_certificate()
        session._connector.close()
        self.assertRaises(exception.BmcCertificateChanged, session.get_power)
        session.close()
        self.assertEqual(1, self.bmc.sessions)
        other = self.log_in()
        self.assertEqual(1, self.bmc.sessions)
        other.close()
        self.assertEqual(0, self.bmc.sessions)

    def test_a_changed_certificate_in_a_held_session(self):
        session = self.log_in()
        self.bmc.change_certificate()
        self.assertRaises(
            exception.BmcCertificateChanged,
            self.log_in,
            bmc_cert_fingerprint='sha256:' + 'a0' * 32,
        )
        # A new connection is needed before anybody can notice.
        session._connector.close()
        self.assertRaises(exception.BmcCertificateChanged, session.get_power)
