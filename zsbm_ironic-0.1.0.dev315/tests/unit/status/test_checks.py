# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status check`: each fault of a host is named with its remedy."""

import json
import os
import pathlib
import socket
import time
from collections.abc import Callable, Iterator

import fixtures
from oslo_config import cfg

from tests.unit.status import base
from zsbm_ironic.netboot import status as netboot_status
from zsbm_ironic.status import (
    checks_conductor,
    checks_image,
    checks_netboot,
    checks_node,
    findings,
)

Check = Callable[[cfg.ConfigOpts], Iterator[findings.Finding]]


class CheckTestCase(base.StatusTestCase):
    def levels(self, check: Check, text: str = '') -> list[str]:
        self.found = list(check(self.conf(text)))
        return [one.level.value for one in self.found]

    def said(self) -> str:
        return findings.as_text(self.found)


class ImageTest(CheckTestCase):
    def kits(self, kit_dir: str) -> str:
        return (
            f'[deploy]\nhttp_root = {self.folder}\n'
            f'[zsbm_image]\nkit_dir = {kit_dir}\n'
        )

    def test_no_kernels(self) -> None:
        text = f'[deploy]\nhttp_root = {self.folder}\n'
        self.assertEqual(['OK'], self.levels(checks_image.kits, text))

    def test_a_folder_that_nobody_serves(self) -> None:
        self.assertEqual(
            ['FAIL'], self.levels(checks_image.kits, self.kits('/srv/kits'))
        )
        self.assertIn('/srv/kits', self.said())

    def test_a_kernel_that_is_gone(self) -> None:
        text = '{"file": "a.kit", "sha256": "", "size_bytes": 1}'
        folder = self.folder / 'kits'
        folder.mkdir()
        (folder / 'debian-12-x86_64.json').write_text(text)
        for level in ('FAIL', 'OK'):
            self.assertEqual(
                [level],
                self.levels(checks_image.kits, self.kits(str(folder))),
            )
            (folder / 'a.kit').touch()
        self.assertIn('debian-12-x86_64', self.said())


class ConductorTest(CheckTestCase):
    def test_type_that_is_not_enabled(self) -> None:
        self.assertEqual(['FAIL'], self.levels(checks_conductor.hardware_type))
        self.assertIn('zsbm-status config', self.said())

    def test_type_that_is_not_installed(self) -> None:
        levels = self.levels(
            checks_conductor.hardware_type,
            '[DEFAULT]\nenabled_hardware_types = zsbm,gone-hardware\n',
        )
        self.assertEqual(['OK', 'FAIL'], levels)
        self.assertIn('the conductor does not start', self.said())

    def test_interface_of_a_program_that_is_missing(self) -> None:
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.status.host.has_program', lambda name: False
            )
        )
        text = '[DEFAULT]\nenabled_vendor_interfaces = ipmitool,zsbm,no-vendor'
        self.assertIn('FAIL', self.levels(checks_conductor.interfaces, text))
        self.assertIn('apt-get install ipmitool', self.said())

    def test_default_that_takes_nodes_away_from_ours(self) -> None:
        text = '[DEFAULT]\ndefault_boot_interface = ipxe\n'
        self.assertEqual(
            ['WARN'], self.levels(checks_conductor.defaults, text)
        )

    def test_ours_in_autodetect_would_break_stock_nodes(self) -> None:
        text = '[DEFAULT]\nautodetect_deploy_interfaces = zsbm,direct\n'
        self.assertEqual(
            ['FAIL'], self.levels(checks_conductor.autodetect, text)
        )

    def test_each_dhcp_provider(self) -> None:
        for provider, level in (
            ('zsbm', 'OK'),
            ('neutron', 'WARN'),
            ('none', 'FAIL'),
        ):
            text = f'[dhcp]\ndhcp_provider = {provider}\n'
            self.assertEqual(
                [level], self.levels(checks_conductor.dhcp_provider, text)
            )

    def test_serial_console_without_ports(self) -> None:
        text = '[DEFAULT]\nenabled_console_interfaces = ipmitool-socat\n'
        self.assertEqual(['WARN'], self.levels(checks_conductor.console, text))
        text += '[console]\nport_range = 10000:20000\n'
        self.assertEqual(['OK'], self.levels(checks_conductor.console, text))

    def test_ramdisk_that_is_missing_or_outside(self) -> None:
        kernel = self.folder / 'kernel'
        text = (
            '[conductor]\n'
            f'deploy_kernel = file://{kernel}\n'
            f'deploy_ramdisk = file://{kernel}\n'
            'rescue_kernel = http://images/kernel\n'
        )
        levels = self.levels(checks_conductor.ramdisks, text)
        self.assertEqual(['FAIL', 'FAIL', 'OK', 'WARN'], levels)
        self.assertIn('file_url_allowed_paths', self.said())
        text += f'file_url_allowed_paths = {self.folder}\n'
        self.levels(checks_conductor.ramdisks, text)
        self.assertIn('is missing or cannot be read', self.said())
        kernel.write_text('x')
        levels = self.levels(checks_conductor.ramdisks, text)
        self.assertEqual(['OK', 'OK', 'OK', 'WARN'], levels)

    def test_host_that_cannot_build_config_drives(self) -> None:
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.status.host.has_program',
                lambda name: name == 'xorrisofs',
            )
        )
        self.assertEqual(['OK'], self.levels(checks_conductor.config_drive))
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.status.host.has_program', lambda name: False
            )
        )
        self.assertEqual(['WARN'], self.levels(checks_conductor.config_drive))
        self.assertIn('apt-get install genisoimage', self.said())


class NetbootTest(CheckTestCase):
    def _text(self, **options: object) -> str:
        lines = [f'{name} = {value}' for name, value in options.items()]
        return '\n'.join(['[zsbm_netboot]', *lines, ''])

    def test_settings_with_which_the_service_would_not_start(self) -> None:
        self.assertEqual(['FAIL'], self.levels(checks_netboot.settings))
        self.assertIn('interface', self.said())

    def test_address_that_is_in_no_subnet(self) -> None:
        text = self._text(interface='lo', subnets='cidr:203.0.113.0/24')
        self.assertEqual(
            ['OK', 'WARN'], self.levels(checks_netboot.settings, text)
        )

    def test_folders_and_port_that_differ_from_the_conductors(self) -> None:
        text = self._text(tftp_root='/srv/tftp', http_port=8081) + (
            '[deploy]\nhttp_url = http://198.51.100.1:8080\n'
        )
        self.assertEqual(
            ['FAIL', 'OK', 'WARN'],
            self.levels(checks_netboot.agreement, text),
        )

    def test_program_that_is_missing_or_too_old(self) -> None:
        old = self.folder / 'nginx'
        old.write_text('#!/bin/sh\necho nginx version: nginx/1.9.5 >&2\n')
        old.chmod(0o755)
        text = self._text(dnsmasq=self.folder / 'none', nginx=old)
        self.assertEqual(
            ['FAIL', 'FAIL'], self.levels(checks_netboot.programs, text)
        )
        self.assertIn('apt-get install dnsmasq-base', self.said())
        self.assertIn('1.22 or newer', self.said())

    def test_programs_of_this_machine_pass(self) -> None:
        self.assertEqual(['OK', 'OK'], self.levels(checks_netboot.programs))

    def test_loader_that_is_missing(self) -> None:
        text = self._text(loaders='x86-bios:/nonexistent/undionly.kpxe')
        self.assertEqual(['FAIL'], self.levels(checks_netboot.loaders, text))

    def test_folder_that_others_may_read(self) -> None:
        for name, mode in (('desired', 0o2755), ('status', 0o2750)):
            path = self.folder / name
            path.mkdir()
            path.chmod(mode)
        text = self._text(
            desired_dir=self.folder / 'desired',
            status_dir=self.folder / 'status',
        )
        levels = self.levels(checks_netboot.folders, text)
        self.assertEqual(['FAIL', 'OK', 'WARN'], levels)
        self.assertIn('mode 2755', self.said())
        self.assertIn("each other's folder", self.said())

    def test_root_that_the_service_cannot_read(self) -> None:
        (self.folder / 'status').mkdir()
        text = self._text(status_dir=self.folder / 'status')
        text += f'[pxe]\ntftp_root = {self.folder}/none\n'
        text += f'[deploy]\nhttp_root = {self.folder}\n'
        self.folder.chmod(0o700)
        self.assertEqual(
            ['FAIL', 'FAIL'], self.levels(checks_netboot.roots, text)
        )
        self.assertIn('cannot read it', self.said())
        self.folder.chmod(0o750)
        self.assertEqual(
            ['FAIL', 'OK'], self.levels(checks_netboot.roots, text)
        )

    def test_port_that_another_program_has(self) -> None:
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            listener.listen()
            port = listener.getsockname()[1]
            text = self._text(status_dir=self.folder, http_port=port)
            found = [*checks_netboot.ports(self.conf(text))]
        taken = [one for one in found if one.name == f'tcp port {port}']
        self.assertEqual([findings.Level.FAIL], [one.level for one in taken])
        self.assertIn('python', taken[0].what)

    def test_ports_are_left_alone_while_the_service_runs(self) -> None:
        text = self._beat(0, os.getpid())
        self.assertEqual([], self.levels(checks_netboot.ports, text))

    def _beat(self, age_s: float, pid: int) -> str:
        heartbeat = netboot_status.Heartbeat(
            time=time.time() - age_s,
            pid=pid,
            records=2,
            rejected={'52:54:00:00:00:01': 'client_id is no hexadecimal'},
            foreign_servers=(
                netboot_status.ForeignServer(
                    '198.51.100.9', '52:54:00:00:00:09', '198.51.100.77', 1.0
                ),
            ),
        )
        netboot_status.Reporter(self.folder, 50).beat(heartbeat)
        return self._text(status_dir=self.folder)

    def test_service_that_never_ran(self) -> None:
        text = self._text(status_dir=self.folder)
        self.assertEqual(['FAIL'], self.levels(checks_netboot.service, text))
        self.assertIn('systemctl', self.said())

    def test_service_that_stopped(self) -> None:
        text = self._beat(120, os.getpid())
        self.assertEqual(['FAIL'], self.levels(checks_netboot.service, text))
        self.assertIn('120 s ago', self.said())

    def test_service_that_runs_reports_machines_and_strangers(self) -> None:
        text = self._beat(0, os.getpid())
        levels = self.levels(checks_netboot.service, text)
        self.assertEqual(['OK', 'WARN', 'FAIL'], levels[:3])
        self.assertIn('2 machines served', self.said())
        self.assertIn('52:54:00:00:00:01', self.said())
        self.assertIn('198.51.100.9', self.said())

    def test_nobody_listens_where_nodes_load_from(self) -> None:
        with socket.socket() as listener:
            listener.bind(('127.0.0.1', 0))
            port = listener.getsockname()[1]
            text = f'[deploy]\nhttp_url = http://127.0.0.1:{port}\n'
            self.assertEqual(['FAIL'], self.levels(checks_netboot.http, text))
            listener.listen()
            self.assertEqual(['OK'], self.levels(checks_netboot.http, text))


class OutputTest(base.StatusTestCase):
    FOUND = (
        findings.ok('one', 'fine'),
        findings.warn('two', 'hm', 'look'),
    )

    def test_warning_is_no_failure(self) -> None:
        self.assertEqual(0, findings.exit_status(self.FOUND))
        bad = findings.fail('three', 'broken', 'mend it')
        self.assertEqual(1, findings.exit_status([*self.FOUND, bad]))

    def test_json_has_what_the_text_has(self) -> None:
        rows = json.loads(findings.as_json(self.FOUND))
        self.assertEqual(['OK', 'WARN'], [row['level'] for row in rows])
        self.assertEqual('look', rows[1]['remedy'])

    def test_check_as_json_fails_on_a_stock_configuration(self) -> None:
        status, out, _err = self.run_status(
            'check', '-f', 'json', '--config-file', self.file('')
        )
        self.assertEqual(1, status)
        self.assertIn('FAIL', {row['level'] for row in json.loads(out)})


class NodeTest(CheckTestCase):
    def _found(self, **driver_info: object) -> findings.Finding:
        node = base.node(driver_info=driver_info)
        return next(checks_node.bmc(self.conf(), node))

    def test_bmc_that_does_not_answer(self) -> None:
        with socket.socket() as closed:
            closed.bind(('127.0.0.1', 0))
            found = self._found(
                bmc_address='127.0.0.1',
                bmc_port=closed.getsockname()[1],
                bmc_username='admin',
                bmc_password='******',
            )
        self.assertEqual(findings.Level.FAIL, found.level)
        self.assertIn('web-3', found.name)

    def test_driver_info_without_an_address(self) -> None:
        found = self._found(bmc_username='admin')
        self.assertEqual(findings.Level.FAIL, found.level)
        self.assertEqual('Correct driver_info of the node.', found.remedy)


class PathsTest(CheckTestCase):
    def test_capabilities_are_those_of_the_kernel(self) -> None:
        header = pathlib.Path('/usr/include/linux/capability.h')
        if not header.exists():
            self.skipTest('no kernel headers on this machine')
        for bit, name in checks_netboot.CAPABILITIES.items():
            self.assertRegex(header.read_text(), rf'{name}\s+{bit}\b')
