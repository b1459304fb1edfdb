# SPDX-License-Identifier: Apache-2.0
"""The emulated BMC before sushy and plain HTTPS."""

import functools
import hashlib
import http.server
import pathlib
import socket
import ssl
import threading
import time

import fixtures
import requests
import sushy
import urllib3
from cryptography import x509
from oslotest import base
from pyghmi.ipmi import command as pyghmi_command
from sushy import auth as sushy_auth
from sushy import exceptions as sushy_exceptions

from zsbm_ironic.lab.emulator import fixtures as emulated

PATIENCE_S = 60


class RedfishTestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        urllib3.disable_warnings()

    def root(self, bmc, auth=sushy_auth.SessionOrBasicAuth, password=None):
        login = auth(bmc.username, password or bmc.password)
        # Before the BMC ends: sushy logs out, and tries for long.
        self.addCleanup(login.close)
        return sushy.Sushy(bmc.url, auth=login, verify=False)

    def system(self, bmc):
        [system] = self.root(bmc).get_system_collection().get_members()
        return system

    def get(self, bmc, path, **arguments):
        return requests.get(
            bmc.url + path,
            verify=False,  # noqa: S501 - self-signed is what we test
            timeout=arguments.pop('timeout', PATIENCE_S),
            **arguments,
        )


class TestSystem(RedfishTestCase):
    def test_power(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(power='off'))
        system = self.system(bmc)
        self.assertEqual(sushy.PowerState.OFF, system.power_state)
        for reset, after in (
            (sushy.RESET_ON, 'on'),
            (sushy.RESET_FORCE_RESTART, 'on'),
            (sushy.RESET_NMI, 'on'),
            (sushy.RESET_GRACEFUL_SHUTDOWN, 'off'),
            (sushy.RESET_ON, 'on'),
            (sushy.RESET_FORCE_OFF, 'off'),
        ):
            system.reset_system(reset)
            self.assertEqual(after, bmc.power)
        self.assertEqual(
            ['on', 'reset', 'nmi', 'soft', 'on', 'off'], bmc.actions
        )

    def test_boot_once_is_used_up(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(power='off'))
        system = self.system(bmc)
        system.set_system_boot_options(
            target=sushy.BOOT_SOURCE_TARGET_PXE,
            enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
            mode=sushy.BOOT_SOURCE_MODE_UEFI,
        )
        system.refresh()
        self.assertEqual(sushy.BOOT_SOURCE_ENABLED_ONCE, system.boot.enabled)
        self.assertEqual('pxe', bmc.boot_device)
        self.assertFalse(bmc.boot_persistent)
        system.reset_system(sushy.RESET_ON)
        system.refresh()
        self.assertEqual(
            sushy.BOOT_SOURCE_ENABLED_DISABLED, system.boot.enabled
        )

    def test_boot_for_good(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(power='off'))
        system = self.system(bmc)
        system.set_system_boot_options(
            target=sushy.BOOT_SOURCE_TARGET_HDD,
            enabled=sushy.BOOT_SOURCE_ENABLED_CONTINUOUS,
        )
        system.reset_system(sushy.RESET_ON)
        system.refresh()
        self.assertEqual(
            sushy.BOOT_SOURCE_ENABLED_CONTINUOUS, system.boot.enabled
        )
        self.assertEqual(sushy.BOOT_SOURCE_TARGET_HDD, system.boot.target)
        system.set_system_boot_options(
            enabled=sushy.BOOT_SOURCE_ENABLED_DISABLED
        )
        self.assertEqual('none', bmc.boot_device)

    def test_http_boot(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        self.system(bmc).set_system_boot_options(
            target=sushy.BOOT_SOURCE_TARGET_UEFI_HTTP,
            enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
        )
        self.assertEqual('http', bmc.boot_device)

    def test_mode_that_the_machine_has_not_is_refused(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(uefi=False))
        system = self.system(bmc)
        self.assertEqual(sushy.BOOT_SOURCE_MODE_BIOS, system.boot.mode)
        error = self.assertRaises(
            sushy_exceptions.BadRequestError,
            system.set_system_boot_options,
            target=sushy.BOOT_SOURCE_TARGET_PXE,
            mode=sushy.BOOT_SOURCE_MODE_UEFI,
        )
        self.assertIn('mode Legacy only', str(error))
        self.assertEqual('none', bmc.boot_device)

    def test_inventory(self):
        bmc = self.useFixture(
            emulated.EmulatedRedfish(
                manufacturer='Contoso', macs=('52:54:00:00:00:01',)
            )
        )
        system = self.system(bmc)
        self.assertEqual('Contoso', system.manufacturer)
        self.assertEqual(str(bmc.chassis.asset.uuid), system.uuid)
        self.assertEqual(2, system.memory_summary.size_gib)
        self.assertEqual(
            ['52:54:00:00:00:01'],
            [
                nic.mac_address
                for nic in system.ethernet_interfaces.get_members()
            ],
        )
        drives = [
            drive
            for controller in system.storage.get_members()
            for drive in controller.drives
        ]
        self.assertEqual(
            [('ZS0001', 64 * 2**30)],
            [(one.serial_number, one.capacity_bytes) for one in drives],
        )
        [processor] = system.processors.get_members()
        self.assertEqual('CPU 1', processor.socket)

    def test_secure_boot(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        self.system(bmc).secure_boot.set_enabled(True)
        self.assertTrue(bmc.chassis.secure_boot)
        self.assertTrue(self.system(bmc).secure_boot.enabled)

    def test_identify_light(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        system = self.system(bmc)
        self.assertEqual(sushy.INDICATOR_LED_OFF, system.indicator_led)
        system.set_indicator_led(sushy.INDICATOR_LED_LIT)
        self.assertTrue(bmc.chassis.indicator.is_lit)
        system.refresh()
        self.assertEqual(sushy.INDICATOR_LED_LIT, system.indicator_led)

    def test_sensors_follow_power_and_faults(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(power='off'))
        [box] = self.root(bmc).get_chassis_collection().get_members()
        by_name = {one.name: one for one in box.thermal.temperatures}
        self.assertEqual(23, by_name['Inlet Temp'].reading_celsius)
        self.assertIsNone(by_name['CPU1 Temp'].reading_celsius)
        bmc.power = 'on'
        bmc.set_reading('CPU1 Temp', 97)
        [box] = self.root(bmc).get_chassis_collection().get_members()
        by_name = {one.name: one for one in box.thermal.temperatures}
        hot = by_name['CPU1 Temp']
        self.assertEqual(97, hot.reading_celsius)
        self.assertEqual(sushy.HEALTH_CRITICAL, hot.status.health)
        self.assertEqual(
            {'Fan1': 5600, 'Fan2': 5500},
            {one.name: one.reading for one in box.thermal.fans},
        )
        [supply] = box.power.power_supplies
        self.assertEqual(180, supply.last_power_output_watts)
        self.assertEqual(sushy.HEALTH_CRITICAL, self.system(bmc).status.health)

    def test_virtual_media(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        directory = self.useFixture(fixtures.TempDir()).path
        image = pathlib.Path(directory) / 'boot.iso'
        image.write_bytes(b'an image')
        handler = functools.partial(
            http.server.SimpleHTTPRequestHandler, directory=directory
        )
        server = http.server.ThreadingHTTPServer(
            (emulated.ADDRESS, 0), handler
        )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        [drive] = self.system(bmc).virtual_media.get_members()
        drive.insert_media(
            f'http://{emulated.ADDRESS}:{server.server_port}/boot.iso'
        )
        inserted = pathlib.Path(bmc.chassis.media)
        self.assertEqual(b'an image', inserted.read_bytes())
        drive.eject_media()
        self.assertIsNone(bmc.chassis.media)
        self.assertFalse(inserted.exists())

    def test_also_by_ipmi(self):
        bmc = self.useFixture(
            emulated.EmulatedRedfish(power='on', also_ipmi=True)
        )
        session = pyghmi_command.Command(
            emulated.ADDRESS, bmc.username, bmc.password, port=bmc.ipmi_port
        )
        self.addCleanup(session.ipmi_session.logout)
        session.set_bootdev('network')
        self.assertEqual(
            sushy.BOOT_SOURCE_TARGET_PXE, self.system(bmc).boot.target
        )

    def test_alias_leads_to_the_system(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(name='metal-7'))
        answer = self.get(
            bmc,
            '/redfish/v1/Systems/metal-7',
            auth=(bmc.username, bmc.password),
            allow_redirects=False,
        )
        self.assertEqual(307, answer.status_code)
        self.assertIn(bmc.system_path, answer.headers['Location'])

    def test_two_bmcs_in_one_process(self):
        first = self.useFixture(emulated.EmulatedRedfish(power='on'))
        second = self.useFixture(emulated.EmulatedRedfish(power='off'))
        self.assertEqual(sushy.PowerState.ON, self.system(first).power_state)
        self.assertEqual(sushy.PowerState.OFF, self.system(second).power_state)


class TestAuthentication(RedfishTestCase):
    def test_root_is_open_and_the_rest_is_not(self):
        bmc = self.useFixture(emulated.EmulatedRedfish(product='X1'))
        answer = self.get(bmc, '/redfish/v1/')
        self.assertEqual(200, answer.status_code)
        self.assertEqual('Emulated Servers Inc.', answer.json()['Vendor'])
        answer = self.get(bmc, '/redfish/v1/Systems')
        self.assertEqual(401, answer.status_code)
        self.assertIn('Basic', answer.headers['WWW-Authenticate'])

    def test_basic(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        self.root(bmc, auth=sushy_auth.BasicAuth).get_system_collection()
        self.assertEqual(0, bmc.sessions)

    def test_session_opens_and_closes(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        root = self.root(bmc, auth=sushy_auth.SessionAuth)
        root.get_system_collection()
        self.assertEqual(1, bmc.sessions)
        root._auth.close()
        self.assertEqual(0, bmc.sessions)

    def test_session_is_opened_again_after_a_restart(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        root = self.root(bmc)
        root.get_system_collection()
        bmc.restart(0)
        root.get_system_collection()
        self.assertEqual(1, bmc.sessions)

    def test_wrong_password(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        for method in (sushy_auth.BasicAuth, sushy_auth.SessionAuth):
            self.assertRaises(
                sushy_exceptions.AccessError,
                lambda method=method: self.root(
                    bmc, auth=method, password='wrong'
                ).get_system_collection(),
            )

    def test_sessions_run_out(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        statuses = [
            requests.post(
                f'{bmc.url}/redfish/v1/SessionService/Sessions',
                json={'UserName': bmc.username, 'Password': bmc.password},
                verify=False,  # noqa: S501 - self-signed is what we test
                timeout=PATIENCE_S,
            ).status_code
            for _ in range(17)
        ]
        self.assertEqual([201] * 16 + [503], statuses)


class TestCertificate(RedfishTestCase):
    def _certificate(self, bmc):
        return ssl.get_server_certificate((emulated.ADDRESS, bmc.port))

    def test_is_as_from_the_factory(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        text = self._certificate(bmc)
        found = x509.load_pem_x509_certificate(text.encode())
        self.assertEqual(found.issuer, found.subject)
        self.assertNotIn(emulated.ADDRESS, found.subject.rfc4514_string())
        der = ssl.PEM_cert_to_DER_cert(text)
        self.assertEqual(
            f'sha256:{hashlib.sha256(der).hexdigest()}', bmc.fingerprint
        )

    def test_change(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        before = self._certificate(bmc)
        fingerprint = bmc.fingerprint
        bmc.change_certificate()
        self.assertNotEqual(before, self._certificate(bmc))
        self.assertNotEqual(fingerprint, bmc.fingerprint)


class TestFaults(RedfishTestCase):
    def test_off_is_silence_not_a_refusal(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        bmc.faults.off = True
        self.assertRaises(
            requests.Timeout, self.get, bmc, '/redfish/v1/', timeout=0.5
        )
        bmc.faults.off = False
        self.assertEqual(200, self.get(bmc, '/redfish/v1/').status_code)

    def test_wrong_password(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        bmc.faults.wrong_password = True
        self.assertRaises(
            sushy_exceptions.AccessError,
            lambda: self.root(bmc).get_system_collection(),
        )

    def test_losses(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        bmc.faults.drop_percent = 50
        answered = 0
        for _ in range(12):
            try:
                self.get(bmc, '/redfish/v1/', timeout=0.5)
            except requests.Timeout:
                continue
            answered += 1
        self.assertGreater(answered, 0)
        self.assertLess(answered, 12)

    def test_slow(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        bmc.faults.delay_s = 0.5
        begun = time.monotonic()
        self.get(bmc, '/redfish/v1/')
        self.assertGreater(time.monotonic() - begun, 0.5)

    def test_client_that_says_nothing_stops_nobody(self):
        bmc = self.useFixture(emulated.EmulatedRedfish())
        with socket.create_connection((emulated.ADDRESS, bmc.port)):
            answer = self.get(bmc, '/redfish/v1/', timeout=10)
        self.assertEqual(200, answer.status_code)
