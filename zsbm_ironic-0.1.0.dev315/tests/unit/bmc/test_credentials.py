# SPDX-License-Identifier: Apache-2.0
"""Every value of driver_info is somebody's input: what is taken, what not."""

from oslotest import base

from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials
from zsbm_ironic.common import exception

GOOD = {
    'bmc_address': '192.0.2.11',
    'bmc_username': 'admin',
    'bmc_password': 'secret',
}
PIN = 'sha256:' + '5e' * 32


def read(**changes):
    info = {**GOOD, **changes}
    return credentials.Credentials.from_driver_info(
        {key: value for key, value in info.items() if value is not None}
    )


class TestCredentials(base.BaseTestCase):
    def refused(self, key, **changes):
        found = self.assertRaises(exception.FixSettings, read, **changes)
        self.assertIn(f'driver_info {key}', str(found))
        self.assertTrue(str(found).isprintable(), ascii(str(found)))
        return str(found)

    def test_three_keys_are_enough(self):
        found = read()
        self.assertEqual('192.0.2.11', found.address)
        self.assertIs(bmc_base.BmcProtocol.AUTO, found.protocol)
        self.assertTrue(found.trust.verify)
        self.assertEqual(443, found.redfish.port)
        self.assertEqual(623, found.ipmi.port)

    def test_the_password_is_in_no_representation(self):
        self.assertNotIn('secret', repr(read()))

    def test_a_number_from_the_command_line_is_its_digits(self):
        self.assertEqual('1234', read(bmc_password=1234).password)
        self.refused('bmc_password', bmc_password=1.5)
        self.refused('bmc_password', bmc_password=True)

    def test_missing_keys_are_named(self):
        for key in GOOD:
            self.refused(key, **{key: None})
            self.refused(key, **{key: ''})

    def test_addresses(self):
        for good, seen in (
            ('bmc-1.rack.example.', 'bmc-1.rack.example.'),
            ('2001:DB8::1', '2001:db8::1'),
            ('[2001:db8::1]', '2001:db8::1'),
        ):
            self.assertEqual(seen, read(bmc_address=good).address)
        for bad in (
            'https://192.0.2.11',
            '192.0.2.11:8443',
            '192.0.2.300',
            'a b',
            '-H evil',
            'x\ny',
            'x' * 300,
            {'a': 1},
            ['192.0.2.11'],
            'bmc/../..',
            'user@bmc',
        ):
            self.refused('bmc_address', bmc_address=bad)

    def test_ports(self):
        self.assertEqual(8443, read(bmc_port='8443').redfish.port)
        for bad in (0, 65536, -1, 'http', '1e3', True, [1], '１２'):
            self.refused('bmc_port', bmc_port=bad)

    def test_hostile_names_are_refused_and_harmless_in_the_message(self):
        for bad in ('a\nb', 'a\x00', '\x1b[2J', 'x' * 256):
            self.refused('bmc_username', bmc_username=bad)

    def test_a_misspelt_key_is_named(self):
        message = self.refused('bmc_user', bmc_user='x')
        self.assertIn('bmc_username', message)

    def test_profile_is_refused_by_name(self):
        message = self.refused('bmc_protocol', bmc_protocol='profile')
        self.assertIn('do not exist yet', message)
        self.refused('bmc_protocol', bmc_protocol='snmp')
        self.refused('bmc_protocol', bmc_protocol=['ipmi'])

    def test_trust(self):
        self.assertEqual(
            '5e' * 32, read(bmc_cert_fingerprint=PIN).trust.fingerprint
        )
        colons = 'SHA256:' + ':'.join(['5E'] * 32)
        self.assertEqual(
            '5e' * 32, read(bmc_cert_fingerprint=colons).trust.fingerprint
        )
        self.assertFalse(read(bmc_verify_ca='false').trust.verify)
        self.assertFalse(read(bmc_verify_ca=False).trust.verify)
        self.assertEqual(__file__, read(bmc_verify_ca=__file__).trust.ca_path)
        self.refused('bmc_verify_ca', bmc_verify_ca='/no/such/file')
        self.refused('bmc_verify_ca', bmc_verify_ca=3)
        self.refused('bmc_cert_fingerprint', bmc_cert_fingerprint='5e' * 32)
        self.refused('bmc_cert_fingerprint', bmc_cert_fingerprint=7)
        self.refused(
            'bmc_cert_fingerprint',
            bmc_cert_fingerprint=PIN,
            bmc_verify_ca=False,
        )

    def test_ipmi_limits_hold_once_the_protocol_is_ipmi(self):
        long = {'bmc_password': 'x' * 21}
        self.refused('bmc_password', bmc_protocol='ipmi', **long)
        found = read(**long)
        self.assertRaises(
            exception.BmcSettingInvalid,
            found.chosen,
            bmc_base.BmcProtocol.IPMI,
        )

    def test_what_only_ipmitool_does_says_keep_type_ipmi(self):
        for key, value in (
            ('ipmi_bridging', 'single'),
            ('ipmi_protocol_version', '1.5'),
            ('ipmi_cipher_suite', 1),
        ):
            message = self.refused(key, **{key: value})
            self.assertIn('keep type ipmi', message)

    def test_ipmi_details(self):
        found = read(
            ipmi_hex_kg_key='6b6579',
            ipmi_priv_level='OPERATOR',
            ipmi_cipher_suite='17',
            ipmi_port=6230,
        ).ipmi
        self.assertEqual(b'key', found.kg)
        self.assertEqual((3, True), (found.privilege, found.privilege_set))
        self.assertEqual((17, 6230), (found.cipher_suite, found.port))
        self.refused('ipmi_hex_kg_key', ipmi_hex_kg_key='key')
        self.refused('ipmi_priv_level', ipmi_priv_level='ROOT')


class TestUpstreamKeys(base.BaseTestCase):
    def test_redfish(self):
        found = credentials.Credentials.from_driver_info(
            {
                'redfish_address': 'http://[2001:db8::7]:8000/redfish/v2',
                'redfish_username': 'root',
                'redfish_password': 'calvin',
                'redfish_system_id': '/redfish/v1/Systems/1',
                'redfish_verify_ca': False,
                'ipmi_address': '192.0.2.3',
            }
        )
        self.assertIs(bmc_base.BmcProtocol.REDFISH, found.protocol)
        self.assertEqual('2001:db8::7', found.address)
        self.assertEqual(
            credentials.RedfishSettings(
                8000, 'http', '/redfish/v2/', '/redfish/v1/Systems/1'
            ),
            found.redfish,
        )
        self.assertFalse(found.trust.verify)

    def test_redfish_address_without_scheme_is_https(self):
        found = credentials.Credentials.from_driver_info(
            {'redfish_address': 'bmc.example'}
        )
        self.assertEqual(
            ('https', 443), (found.redfish.scheme, found.redfish.port)
        )

    def test_ipmi(self):
        found = credentials.Credentials.from_driver_info(
            {'ipmi_address': '192.0.2.3', 'ipmi_port': '6230'}
        )
        self.assertIs(bmc_base.BmcProtocol.IPMI, found.protocol)
        self.assertEqual(
            ('', '', 6230), (found.username, found.password, found.ipmi.port)
        )

    def test_bad_redfish_urls(self):
        for bad in ('ftp://x', 'https://', 'https://x:port', 'https://a b'):
            self.assertRaises(
                exception.BmcSettingInvalid,
                credentials.Credentials.from_driver_info,
                {'redfish_address': bad},
            )
