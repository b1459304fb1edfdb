# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status config`: what it prints is a configuration that passes."""

import configparser
import ipaddress
import pathlib

import fixtures

from tests.unit.status import base
from zsbm_ironic.status import fragment, host

HOST = host.Address('eth1', ipaddress.IPv4Interface('198.51.100.1/24'))


class FragmentTest(base.StatusTestCase):
    def _printed(
        self, text: str = '', address: host.Address = HOST
    ) -> configparser.RawConfigParser:
        lines = fragment.settings(self.conf(text), address, 'as asked for')
        parser = configparser.RawConfigParser()
        parser.read_string(fragment.render(lines, ['ironic.conf']))
        return parser

    def test_ours_are_enabled_after_what_is_enabled_now(self) -> None:
        printed = self._printed(
            '[DEFAULT]\n'
            'enabled_hardware_types = fake-hardware\n'
            'enabled_boot_interfaces = fake\n'
            'enabled_network_interfaces = noop\n'
        )
        self.assertEqual(
            'fake-hardware,zsbm',
            printed.get('DEFAULT', 'enabled_hardware_types'),
        )
        self.assertEqual(
            'fake,zsbm-http,zsbm-pxe',
            printed.get('DEFAULT', 'enabled_boot_interfaces'),
        )
        self.assertEqual(
            'noop', printed.get('DEFAULT', 'enabled_network_interfaces')
        )

    def test_ipmi_is_left_out_where_ipmitool_is_missing(self) -> None:
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.status.host.has_program',
                lambda name: name != 'ipmitool',
            )
        )
        printed = self._printed()
        self.assertEqual(
            'redfish,zsbm', printed.get('DEFAULT', 'enabled_hardware_types')
        )
        for line in printed['DEFAULT'].values():
            self.assertNotIn('ipmitool', line)

    def test_lists_that_ironic_works_out_are_left_to_it(self) -> None:
        for text in ('', '[DEFAULT]\nenabled_power_interfaces =\n'):
            self.assertFalse(
                self._printed(text).has_option(
                    'DEFAULT', 'enabled_power_interfaces'
                )
            )

    def test_what_is_set_of_the_boot_service_is_in_its_file(self) -> None:
        lines = {
            'desired_dir': '/srv/desired',
            'http_port': '8088',
            'known_dhcp_servers': '192.0.2.7,192.0.2.8',
            'loaders': 'x86-bios:/srv/one,x86-64-uefi:/srv/two',
            'router_advertisements': 'false',
        }
        text = ''.join(f'{name} = {value}\n' for name, value in lines.items())
        printed = self._printed(f'[zsbm_netboot]\n{text}')
        for name, value in lines.items():
            self.assertEqual(value, printed.get('zsbm_netboot', name))
        for name in ('lease_time_s', 'status_dir'):
            self.assertFalse(printed.has_option('zsbm_netboot', name))

    def test_present_ramdisk_url_and_subnets_are_kept(self) -> None:
        printed = self._printed(
            '[conductor]\ndeploy_kernel = http://images/kernel\n'
            '[deploy]\nhttp_url = http://boot.example:8088\n'
            '[zsbm_netboot]\nsubnets = cidr:203.0.113.0/24\n'
        )
        self.assertEqual(
            'http://images/kernel', printed.get('conductor', 'deploy_kernel')
        )
        self.assertEqual(
            'http://boot.example:8088', printed.get('deploy', 'http_url')
        )
        self.assertEqual(
            'cidr:203.0.113.0/24', printed.get('zsbm_netboot', 'subnets')
        )

    def test_ports_of_consoles_are_given_or_kept(self) -> None:
        self.assertEqual(
            '10000:20000', self._printed().get('console', 'port_range')
        )
        text = '[console]\nport_range = 9000:9100,9500:9600\n'
        self.assertEqual(
            '9000:9100,9500:9600',
            self._printed(text).get('console', 'port_range'),
        )

    def test_hooks_of_the_operator_stay(self) -> None:
        printed = self._printed('[inspector]\nhooks = $default_hooks,cpus\n')
        self.assertEqual(
            'ramdisk-error,validate-interfaces,ports,architecture,cpus,'
            'boot-mode',
            printed.get('inspector', 'hooks'),
        )

    def test_guessed_range_is_in_the_subnet_and_without_this_host(
        self,
    ) -> None:
        for text in ('198.51.100.1/24', '198.51.100.200/24', '10.0.0.9/28'):
            address = host.Address('eth1', ipaddress.IPv4Interface(text))
            subnet = self._printed(address=address).get(
                'zsbm_netboot', 'subnets'
            )
            cidr, span = subnet.removeprefix('cidr:').split(',range:')
            first, last = map(ipaddress.IPv4Address, span.split('-'))
            network = ipaddress.IPv4Network(cidr)
            self.assertEqual(address.network, network)
            self.assertLess(first, last)
            self.assertIn(first, network)
            self.assertLess(last, network.broadcast_address)
            self.assertFalse(first <= address.address.ip <= last)

    def test_no_range_is_guessed_in_a_tiny_subnet(self) -> None:
        address = host.Address(
            'eth1', ipaddress.IPv4Interface('198.51.100.1/32')
        )
        self.assertEqual(
            'cidr:198.51.100.1/32',
            self._printed(address=address).get('zsbm_netboot', 'subnets'),
        )


class CommandTest(base.StatusTestCase):
    def test_printed_fragment_passes_the_checks_of_the_conductor(
        self,
    ) -> None:
        for part in ('kernel', 'initramfs'):
            (self.folder / part).write_text('x')
        stock = self.file(
            '[DEFAULT]\nmy_ip = 198.51.100.1\n'
            '[conductor]\n'
            f'deploy_kernel = file://{self.folder}/kernel\n'
            f'deploy_ramdisk = file://{self.folder}/initramfs\n'
            f'rescue_kernel = file://{self.folder}/kernel\n'
            f'rescue_ramdisk = file://{self.folder}/initramfs\n'
            f'file_url_allowed_paths = {self.folder}\n'
        )
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.status.host.addresses', lambda: [HOST]
            )
        )
        status, out, _err = self.run_status('config', '--config-file', stock)
        self.assertEqual(0, status)
        ours = self.file(out, 'zsbm.conf')
        files = ('--config-file', stock, '--config-file', ours)
        _status, out, _err = self.run_status('check', *files)
        conductor = out.split('[zsbm_netboot]')[0]
        self.assertNotIn('FAIL', conductor)
        self.assertNotIn('WARN', conductor)
        status, out, _err = self.run_status('upgrade', 'check', *files)
        self.assertEqual(0, status, out)

    def test_unknown_interface_is_an_error_with_a_remedy(self) -> None:
        status, _out, err = self.run_status(
            'config', '--config-file', self.file(''), '--interface', 'none7'
        )
        self.assertEqual(2, status)
        self.assertIn('no IPv4 address on none7', err)

    def test_an_interface_that_is_to_come_has_the_address_given(self) -> None:
        file = self.file('')
        status, out, _err = self.run_status(
            *('config', '--config-file', file),
            *('--interface', 'none7', '--address', '203.0.113.1/28'),
        )
        self.assertEqual(0, status)
        self.assertIn('interface = none7\n', out)
        self.assertIn('listen_address = 203.0.113.1\n', out)
        self.assertIn('subnets = cidr:203.0.113.0/28,', out)

    def test_an_address_that_is_none_is_an_error_with_a_remedy(self) -> None:
        file = self.file('')
        for words, part in (
            (('--address', '203.0.113.1/28'), 'no interface is named'),
            (('--interface', 'none7', '--address', 'here'), "'here'"),
            (('--interface', 'none7', '--address', '203.0.113.1'), 'prefix'),
        ):
            status, _out, err = self.run_status(
                'config', '--config-file', file, *words
            )
            self.assertEqual(2, status)
            self.assertIn(part, err)
            self.assertIn('--interface', err)
        self.assertIn('--interface', err)

    def test_file_that_is_missing_or_broken_is_an_error(self) -> None:
        missing = str(self.folder / 'none.conf')
        status, _out, err = self.run_status('check', '--config-file', missing)
        self.assertEqual(2, status)
        self.assertIn('none.conf', err)
        broken = self.file('enabled = without a group [', 'broken.conf')
        status, _out, err = self.run_status('check', '--config-file', broken)
        self.assertEqual(2, status)
        self.assertIn('cannot be read', err)

    def test_nothing_is_written(self) -> None:
        stock = self.file('')
        self.run_status('check', '--config-file', stock)
        self.run_status('config', '--config-file', stock)
        self.assertEqual([pathlib.Path(stock)], [*self.folder.iterdir()])
