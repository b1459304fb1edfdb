# SPDX-License-Identifier: Apache-2.0
from oslotest import base

from zsbm_ironic.drivers import boot_mode, dhcp
from zsbm_ironic.netboot import desired, timeline


class TestParseOptions(base.BaseTestCase):
    # As dhcp_options_for_instance() of ironic.common.pxe_utils makes them.
    IPXE = (
        {'opt_name': 'tag:!ipxe,67', 'opt_value': 'snponly.efi'},
        {'opt_name': 'tag:ipxe,67', 'opt_value': 'http://192.0.2.1/boot.ipxe'},
        {'opt_name': '66', 'opt_value': '192.0.2.1'},
        {'opt_name': '255', 'opt_value': '192.0.2.1'},
    )

    def test_names_and_tags(self):
        found = dhcp.parse_options(
            {**option, 'ip_version': 4} for option in self.IPXE
        )
        self.assertEqual(
            (
                desired.Option(67, 'snponly.efi', 'not-ipxe'),
                desired.Option(67, 'http://192.0.2.1/boot.ipxe', 'ipxe'),
                desired.Option(66, '192.0.2.1'),
                desired.Option(255, '192.0.2.1'),
            ),
            found,
        )
        self.assertEqual('http://192.0.2.1/boot.ipxe', dhcp.script_of(found))

    def test_what_is_not_for_ipv4_or_boot_is_left_out(self):
        found = dhcp.parse_options(
            (
                {'opt_name': '59', 'opt_value': 'x', 'ip_version': 6},
                {'opt_name': '6', 'opt_value': '192.0.2.66'},
                {'opt_name': 'mtu', 'opt_value': '9000'},
                {'opt_name': '67', 'opt_value': None},
                {'opt_value': 'x'},
            )
        )
        self.assertEqual((), found)
        self.assertIsNone(dhcp.script_of(found))


class TestBootMode(base.BaseTestCase):
    def told(self, *details):
        return boot_mode.told_by(
            timeline.Event(float(number), 'dhcp', 'dhcp-client', '', detail)
            for number, detail in enumerate(details)
        )

    def test_the_newest_request_counts(self):
        self.assertEqual('bios', self.told('x86-64-uefi', 'ipxe x86-bios'))
        self.assertEqual('uefi', self.told('x86-bios', 'arm64-uefi http'))

    def test_no_word_of_it_is_none(self):
        self.assertIsNone(self.told())
        self.assertIsNone(self.told('ipxe', 'http'))

    def test_who_said_it_before_is_right(self):
        self.assertTrue(boot_mode.is_unknown({}, {}))
        self.assertTrue(boot_mode.is_unknown({'capabilities': 'a:b'}, {}))
        for properties, driver_info in (
            ({'capabilities': 'boot_mode:bios'}, {}),
            ({'capabilities': {'boot_mode': 'uefi'}}, {}),
            ({'capabilities': 'no pairs'}, {}),
            ({}, {'redfish_address': 'https://192.0.2.1'}),
        ):
            self.assertFalse(boot_mode.is_unknown(properties, driver_info))
