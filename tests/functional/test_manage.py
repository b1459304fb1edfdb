# SPDX-License-Identifier: Apache-2.0
"""Enrolment, `manage` and `validate` through the API of a real Ironic."""

import ipaddress
import time

from cryptography import x509

from tests import bmcs
from tests.functional import ironic_service
from zsbm_ironic.lab.emulator import fixtures as emulated

# By design, or until a deploy or a rescue names its image or password.
NOT_VALID = {
    'bios': 'does not support bios',
    'console': 'does not support console',
    'deploy': 'image_source',
    'firmware': 'does not support firmware',
    'raid': 'does not support raid',
    'rescue': 'rescue_password',
}
# Each fault is reported within this.
LIMIT_S = 60


class TestManage(ironic_service.TestCase):
    def refused(self, driver_info, *parts, **fields):
        """Manage in vain; the error names the node and these parts."""
        node = self.enrol('zsbm', driver_info, name='web-3', **fields)
        started = time.monotonic()
        error = self.fails_to_manage(node)
        self.assertLess(time.monotonic() - started, LIMIT_S)
        for part in ('web-3', *parts):
            self.assertIn(part, error)
        self.assertIn(parts[0], ' '.join(self.history(node)))
        return node

    def check_validation(self, node):
        result = self.api.validate_node(node, required=())
        for name, found in result.items():
            reason = NOT_VALID.get(name)
            if reason is None:
                self.assertTrue(found.result, f'{name}: {found.reason}')
            else:
                self.assertFalse(found.result, name)
                self.assertIn(reason, found.reason)

    def check_attempts(self, bmc):
        """Many BMCs lock an account after the third wrong password."""
        log = (bmc.directory / 'log').read_text()
        self.assertLess(log.count('" 401 '), 3, log)

    def test_ipmi(self):
        bmc = self.useFixture(bmcs.PyghmiBmc())
        info = bmc.driver_info()
        del info['bmc_protocol']
        node = self.enrol('zsbm', info)
        found = self.manage(node)
        self.assertEqual('power off', found.power_state)
        self.assertEqual(bmcs.ADDRESS, found.driver_info['ipmi_address'])
        self.assertEqual(bmc.port, found.driver_info['ipmi_port'])
        # This BMC speaks SHA-1 only, which ipmitool has to be told.
        self.assertEqual(3, found.driver_info['ipmi_cipher_suite'])
        self.assertNotIn('redfish_address', found.driver_info)
        self.api.create_port(node_uuid=node, address='52:54:00:00:00:01')
        self.check_validation(node)

    def test_redfish(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        found = self.manage(node)
        self.assertEqual('power off', found.power_state)
        self.assertEqual('uefi', found.boot_mode)
        info = found.driver_info
        self.assertEqual(
            f'https://{bmcs.ADDRESS}:{bmc.port}', info['redfish_address']
        )
        self.assertIn(bmc.fingerprint, info['redfish_verify_ca'])
        self.assertNotIn('ipmi_address', info)
        # Its ports come when it is provided.
        self.assertEqual([], list(self.api.ports(node=node)))
        self.check_validation(node)

    def test_upstreams_interfaces_work_on_a_pinned_certificate(self):
        """They are given a path; the name in the certificate is another."""
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol(
            'zsbm',
            bmc.driver_info(),
            bios_interface='redfish',
            firmware_interface='redfish',
            raid_interface='redfish',
            inspect_interface='redfish',
        )
        self.manage(node)
        result = self.api.validate_node(node, required=())
        for name in ('bios', 'firmware', 'raid', 'inspect', 'power'):
            self.assertTrue(result[name].result, result[name].reason)
        # Through upstream's own session: boot mode and Secure Boot.
        found = self.api.get_node(node)
        self.assertEqual('uefi', found.boot_mode)
        self.assertIs(False, found.is_secure_boot)

    def test_before_manage_it_says_so(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        result = self.api.validate_node(node, required=())
        for name in ('power', 'management'):
            self.assertFalse(result[name].result)
            self.assertIn('node manage', result[name].reason)

    def test_a_bad_value_is_a_reason_not_a_crash(self):
        node = self.enrol(
            'zsbm',
            {'bmc_address': 'a\nb', 'bmc_username': 'x', 'bmc_password': 'y'},
        )
        result = self.api.validate_node(node, required=())
        self.assertIn('driver_info bmc_address', result['power'].reason)

    def test_wrong_password_over_ipmi_then_the_right_one(self):
        bmc = self.useFixture(bmcs.PyghmiBmc())
        node = self.refused(
            bmc.driver_info(bmc_password='wrong'),
            'refused user admin',
            'bmc_password',
        )
        self.api.patch_node(
            node,
            [
                {
                    'op': 'replace',
                    'path': '/driver_info/bmc_password',
                    'value': bmcs.PASSWORD,
                }
            ],
        )
        self.manage(node)

    def test_wrong_password_over_redfish(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        self.refused(
            bmc.driver_info(bmc_password='wrong'),
            'refused user admin (HTTP 401)',
            'bmc_password',
        )
        self.check_attempts(bmc)

    def test_wrong_password_in_the_keys_of_upstream(self):
        address = ipaddress.ip_address(bmcs.ADDRESS)
        bmc = self.useFixture(bmcs.SushyToolsBmc(x509.IPAddress(address)))
        self.refused(
            {
                'redfish_address': f'https://{bmcs.ADDRESS}:{bmc.port}',
                'redfish_username': bmcs.USER,
                'redfish_password': 'wrong',
                'redfish_verify_ca': str(bmc.directory / 'cert.pem'),
            },
            'refused user admin (HTTP 401)',
            'redfish_password',
        )
        self.check_attempts(bmc)

    def test_no_interface_needs_redfish_verify_ca(self):
        node = self.enrol(
            'zsbm',
            {
                'redfish_address': 'https://192.0.2.1',
                'redfish_username': 'admin',
                'redfish_password': 'secret',
            },
            bios_interface='redfish',
            firmware_interface='redfish',
            raid_interface='redfish',
            inspect_interface='redfish',
        )
        result = self.api.validate_node(node, required=())
        for name in ('bios', 'firmware', 'raid', 'inspect', 'management'):
            self.assertTrue(result[name].result, result[name].reason)

    def test_an_unverifiable_certificate_shows_its_fingerprint(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        info = bmc.driver_info()
        pin = info.pop('bmc_cert_fingerprint')
        node = self.refused(
            info,
            f'bmc_cert_fingerprint={pin}',
            'CN=bmc-factory-0001',
            'bmc_verify_ca=PATH',
        )
        # What the error says is all that has to be done.
        self.api.patch_node(
            node,
            [
                {
                    'op': 'add',
                    'path': '/driver_info/bmc_cert_fingerprint',
                    'value': pin,
                }
            ],
        )
        self.manage(node)

    def test_a_changed_certificate_is_noticed(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        pinned = bmc.fingerprint
        bmc.stop()
        bmc.renew_certificate()
        bmc.start()
        found = self.power(node, 'power on')
        for part in ('another TLS certificate', bmc.fingerprint, pinned):
            self.assertIn(part, found.last_error)
        # The remedy that it names is enough, for upstream's part as well.
        self._pin(node, f'sha256:{bmc.fingerprint}')
        found = self.power(node, 'power on')
        self.assertIsNone(found.last_error)
        self.assertEqual('power on', found.power_state)

    def _pin(self, node, fingerprint):
        self.api.patch_node(
            node,
            [
                {
                    'op': 'replace',
                    'path': '/driver_info/bmc_cert_fingerprint',
                    'value': fingerprint,
                }
            ],
        )

    def test_a_changed_certificate_leaves_no_slot_of_the_bmc_taken(self):
        """Neither ours nor upstream's: each logs in by the new one."""
        bmc = self.useFixture(emulated.EmulatedRedfish())
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        bmc.change_certificate()
        self.assertIn('another TLS', self.power(node, 'power on').last_error)
        self._pin(node, bmc.fingerprint)
        self.assertIsNone(self.power(node, 'power on').last_error)
        self.assertLessEqual(bmc.sessions, 2)

    def test_nobody_at_the_address(self):
        self.refused(
            {
                'bmc_address': bmcs.ADDRESS,
                'bmc_port': bmcs.free_port(),
                'bmc_username': 'a',
                'bmc_password': 'b',
            },
            'did not answer',
            'bmc_address',
        )

    def test_thirty_per_cent_loss(self):
        bmc = self.useFixture(bmcs.PyghmiBmc())
        relay = self.useFixture(bmcs.LossyUdp(bmc.port, loss=0.3))
        node = self.enrol('zsbm', bmc.driver_info(bmc_port=relay.port))
        self.manage(node)

    def test_keys_follow_and_what_an_operator_wrote_stays(self):
        bmc = self.useFixture(bmcs.PyghmiBmc())
        node = self.enrol('zsbm', bmc.driver_info(ipmi_username='operator'))
        found = self.manage(node)
        self.assertEqual('operator', found.driver_info['ipmi_username'])
        relay = self.useFixture(bmcs.LossyUdp(bmc.port))
        self.api.patch_node(
            node,
            [
                {
                    'op': 'replace',
                    'path': '/driver_info/bmc_port',
                    'value': relay.port,
                }
            ],
        )
        found = self.power(node, 'power on')
        self.assertIsNone(found.last_error)
        self.assertEqual(relay.port, found.driver_info['ipmi_port'])
        self.assertEqual('operator', found.driver_info['ipmi_username'])
