# SPDX-License-Identifier: Apache-2.0
"""The settings that the documentation has for an Ironic on its own."""

import configparser
import pathlib
import secrets
import subprocess

import bcrypt
import openstack
import requests
import yaml

from tests import bmcs
from tests.functional import ironic_service

DOCS = pathlib.Path(__file__).parents[2] / 'doc/source/admin'
SETTINGS = DOCS / 'standalone.conf'
USER = 'alice'
VALIDATE_S = 180


def documented():
    """Return the options of the file by section."""
    parser = configparser.RawConfigParser(default_section='none of them')
    parser.read(SETTINGS)
    return {name: dict(parser[name]) for name in parser.sections()}


def elsewhere(options):
    """Return options without those that name a folder or an address."""
    return {
        section: {
            name: value
            for name, value in values.items()
            if '/' not in value and '192.0.2.' not in value
        }
        for section, values in options.items()
    }


class StandaloneTest(ironic_service.TestCase):
    @classmethod
    def start_ironic(cls):
        cls.password = secrets.token_hex(16)
        digest = bcrypt.hashpw(cls.password.encode(), bcrypt.gensalt(4))
        users = cls.ironic.root / 'htpasswd'
        users.touch(mode=0o600)
        users.write_text(f'{USER}:{digest.decode()}\n')
        options = elsewhere(documented())
        options['DEFAULT']['http_basic_auth_user_file'] = str(users)
        options['service_catalog'] |= {
            'username': USER,
            'password': cls.password,
        }
        options['zsbm_netboot'] |= {
            'interface': 'lo',
            'listen_address': ironic_service.ADDRESS,
            'subnets': documented()['zsbm_netboot']['subnets'],
        }
        cls.ironic.configure(options)
        cls.ironic.headers['Authorization'] = requests.auth._basic_auth_str(
            USER, cls.password
        )
        super().start_ironic()

    def setUp(self):
        super().setUp()
        self.api = openstack.connect(
            auth_type='http_basic',
            auth={
                'endpoint': self.ironic.url,
                'username': USER,
                'password': self.password,
            },
            load_envvars=False,
            load_yaml_config=False,
        ).baremetal

    def test_each_option_is_one_that_there_is(self):
        done = subprocess.run(
            [
                ironic_service.BIN / 'oslo-config-validator',
                *('--namespace', 'ironic', '--namespace', 'zsbm_ironic'),
                *('--namespace', 'oslo.db'),
                *('--input-file', SETTINGS, '--fatal-warnings'),
            ],
            capture_output=True,
            text=True,
            timeout=VALIDATE_S,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr[-3000:])

    def test_who_has_no_password_is_refused(self):
        answer = requests.get(f'{self.ironic.url}/v1/nodes', timeout=30)
        self.assertEqual(401, answer.status_code)

    def test_a_server_is_enrolled(self):
        self.assertEqual(['zsbm'], [one.name for one in self.api.drivers()])
        bmc = self.useFixture(bmcs.PyghmiBmc())
        node = self.manage(self.enrol('zsbm', bmc.driver_info()))
        settings = documented()['DEFAULT']
        self.assertEqual(
            settings['default_resource_class'], node.resource_class
        )
        for name, value in settings.items():
            if name.startswith('enabled_') and name.endswith('_interfaces'):
                field = name.removeprefix('enabled_').removesuffix('s')
                first = value.split(',')[0]
                self.assertEqual(first, getattr(node, field), field)

    def test_bifrost_is_told_the_same(self):
        told = yaml.safe_load((DOCS / 'bifrost.yaml').read_text())
        settings = documented()
        for name, value in told.items():
            if name.startswith('enabled_'):
                self.assertEqual(settings['DEFAULT'][name], value, name)
        self.assertEqual(
            settings['dhcp']['dhcp_provider'], told['dhcp_provider']
        )
        for kind in ('boot', 'deploy'):
            enabled = settings['DEFAULT'][f'enabled_{kind}_interfaces']
            self.assertEqual(
                enabled.split(',')[0], told[f'default_{kind}_interface']
            )
