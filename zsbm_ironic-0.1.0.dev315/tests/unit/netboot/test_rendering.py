# SPDX-License-Identifier: Apache-2.0
"""What is rendered is read by the programs that it is for."""

import pathlib

import fixtures
from oslo_config import cfg
from oslotest import base

from zsbm_ironic.common import exception, process
from zsbm_ironic.conf import netboot as options
from zsbm_ironic.netboot import arch, desired, dnsmasq, nginx, settings

NODE = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0001'
PORT = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0002'
MAC = '52:54:00:aa:00:01'


class TestCase(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.conf = cfg.ConfigOpts()
        options.register_opts(self.conf)
        self.config_file = self.root / 'netboot.conf'

    def settings(self, **values):
        lines = {
            'interface': 'lo',
            'desired_dir': self.root,
            'status_dir': self.root,
            'run_dir': self.root,
            'tftp_root': self.root,
            'http_root': self.root,
            'http_port': 18080,
            'subnets': 'cidr:198.51.100.0/24,gateway:198.51.100.1',
            **values,
        }
        self.config_file.write_text(
            '[zsbm_netboot]\n'
            + ''.join(f'{key} = {value}\n' for key, value in lines.items())
        )
        self.conf(['--config-file', str(self.config_file)])
        return settings.from_conf(self.conf)


class TestSettings(TestCase):
    def test_the_address_is_that_of_the_interface(self):
        self.assertEqual('127.0.0.1', str(self.settings().listen_address))

    def test_each_mistake_is_named(self):
        for values, words in (
            ({'interface': 'absent0'}, 'absent0 has no IPv4'),
            ({'listen_address': '::1'}, 'listen_address'),
            ({'listen_address': 'host.example'}, 'listen_address'),
            ({'tftp_root': 'relative'}, 'tftp_root'),
            ({'http_root': '/a;b'}, 'http_root'),
            ({'dnsmasq': '/absent'}, 'Is it installed?'),
            ({'loaders': 'amd64:/x'}, 'loaders'),
            ({'subnets': 'range:1-2'}, 'no cidr'),
        ):
            exc = self.assertRaises(
                exception.NetbootSettingInvalid, self.settings, **values
            )
            self.assertIn(words, str(exc))

    def test_what_the_service_needs_is_asked_for(self):
        self.conf([])
        exc = self.assertRaises(
            exception.NetbootSettingInvalid, settings.from_conf, self.conf
        )
        self.assertIn('[zsbm_netboot]interface', str(exc))


class TestDnsmasq(TestCase):
    def test_dnsmasq_reads_it(self):
        own = self.settings(
            loaders=','.join(f'{one.name}:/x' for one in arch.ARCHITECTURES)
        )
        for text in (
            dnsmasq.configuration(own),
            dnsmasq.tftp_configuration(own),
        ):
            file = self.root / 'dnsmasq.conf'
            file.write_text(text)
            process.run(
                [own.dnsmasq, '--test', f'--conf-file={file}'], timeout_s=10
            )

    def test_a_host_line_for_each_address(self):
        one = desired.Record(
            MAC,
            NODE,
            PORT,
            ('198.51.100.50', '203.0.113.50'),
            script='http://198.51.100.1:8080/boot.ipxe',
        )
        self.assertEqual(
            f'{MAC},id:*,set:mac525400aa0001,set:zsbm,198.51.100.50\n'
            f'{MAC},id:*,set:mac525400aa0001,set:zsbm,203.0.113.50\n',
            dnsmasq.hosts([one]),
        )
        self.assertEqual(
            'tag:mac525400aa0001,tag:ipxe,67,'
            'http://198.51.100.1:8080/boot.ipxe\n',
            dnsmasq.options([one]),
        )

    def test_what_neutron_serves_is_not_served_here(self):
        one = desired.Record(
            MAC, NODE, PORT, ('198.51.100.50',), served_by='neutron'
        )
        self.assertEqual('', dnsmasq.hosts([one]))


class TestNginx(TestCase):
    def test_nginx_reads_it(self):
        own = self.settings()
        for name in nginx.TEMPORARY:
            nginx.temporary_directory(own, name).mkdir(parents=True)
        file = self.root / 'nginx.conf'
        file.write_text(nginx.configuration(own))
        process.run(
            [own.nginx, '-t', '-p', self.root, '-c', file, '-e', 'stderr'],
            timeout_s=10,
        )
