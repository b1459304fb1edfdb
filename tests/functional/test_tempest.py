# SPDX-License-Identifier: Apache-2.0
"""Upstream's tests of the API, against a real Ironic with our type.

A real Keystone, and Ironic's API and conductor with all of this package
loaded. Once as the plugin is, on nodes of the type `fake-hardware`, the only
one that it lets in; once on nodes of type `zsbm`, each with an emulated BMC.
"""

import importlib.metadata
import json
import pathlib
import re
import tomllib

import fixtures
import testtools

from tests import bmcs
from tests.e2e import figures
from tests.functional import ironic_service, keystone_service
from tests.matrix import rows
from tests.tempest import suite

LIMIT_S = 1700
STATE_S = 60
BMCS = 6
# What the plugin is told of, beside the type that it is to use.
FAKE = {
    'enabled_hardware_types': 'zsbm,fake-hardware,ipmi,redfish',
    'enabled_bios_interfaces': 'no-bios,redfish,fake',
    'enabled_console_interfaces': 'no-console,ipmitool-socat,fake,'
    'fake-graphical',
    'enabled_inspect_interfaces': 'agent,redfish,no-inspect,fake',
    'enabled_raid_interfaces': 'no-raid,agent,redfish,fake',
    'enabled_rescue_interfaces': 'agent,no-rescue,fake',
    'enabled_vendor_interfaces': 'zsbm,no-vendor,ipmitool,redfish,fake',
}


class TempestCase(ironic_service.TestCase):
    """Keystone and Ironic, and a tempest.conf that names both."""

    @classmethod
    def setUpClass(cls):
        cls.programs = suite.programs()
        cls.keystone = keystone_service.Keystone(cls.programs.folder)
        cls.addClassCleanup(cls.keystone.remove)
        super().setUpClass()

    @classmethod
    def start_ironic(cls):
        cls.keystone.start(cls.ironic.url)
        account = cls.keystone.account_options()
        cls.ironic.configure(
            {
                'DEFAULT': {**FAKE, 'auth_strategy': 'keystone'},
                # Tests ask for the next thing while the last is being done.
                'conductor': {'node_locked_retry_attempts': '30'},
                # A host that is busy with other tests as well.
                'database': {
                    'connection': f'sqlite:///{cls.ironic.root}'
                    f'/ironic.sqlite?timeout={STATE_S}'
                },
                'keystone_authtoken': {
                    **account,
                    'www_authenticate_uri': cls.keystone.auth_url,
                },
            }
        )
        system = cls.keystone.connect(system_scope='all')
        cls.ironic.headers['X-Auth-Token'] = system.auth_token
        cls.ironic.start()

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.figures = self.useFixture(figures.Figures())
        self.figures['versions'] = {
            **suite.versions(),
            'ironic': importlib.metadata.version('ironic'),
        }

    def judge(self, driver, known, nodes=None, **told):
        """Run all tests of the API on nodes of a type.

        :param told: what the plugin is told of it, and not of the others.
        """
        options = self.tempest_options(driver)
        options['baremetal'] |= told
        suite.write_config(self.folder, options)
        seen = suite.run(self.folder, ['api.'], limit_s=LIMIT_S, nodes=nodes)
        entries = suite.load(suite.HERE / known)
        self.figures[driver] = suite.figures(seen, entries)
        self.assertEqual([], suite.problems(seen, entries))

    def tempest_options(self, driver):
        return {
            **suite.options(
                self.folder,
                auth_url=self.keystone.auth_url,
                region=keystone_service.REGION,
                password=self.keystone.passwords[keystone_service.ADMIN],
                services={'ironic'},
            ),
            'baremetal': {
                'driver': driver,
                'power_timeout': str(STATE_S),
                'unprovision_timeout': str(STATE_S),
                **FAKE,
            },
            'compute': {
                'build_interval': '1',
                'build_timeout': str(STATE_S),
            },
        }


class TestApi(TempestCase):
    def test_on_nodes_of_the_type_that_upstream_tests(self):
        self.judge('fake-hardware', 'api.toml')

    def test_on_nodes_of_ours(self):
        fields = []
        for _ in range(BMCS):
            bmc = self.useFixture(bmcs.PyghmiBmc())
            bmc.machine.boot_device = 'hd'
            fields.append({'driver_info': bmc.driver_info()})
        nodes = self.folder / 'nodes.json'
        nodes.touch(mode=0o600)
        nodes.write_text(json.dumps(fields))
        self.judge(
            'zsbm',
            'api_zsbm.toml',
            nodes,
            enabled_console_interfaces='no-console,ipmitool-socat',
        )


class TestScenarios(testtools.TestCase):
    def test_each_is_on_the_list_once(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        suite.write_config(folder, {'service_available': {'ironic': 'true'}})
        names = suite.listed(folder, ['scenario.'])
        self.assertNotEqual([], names)
        scenarios = tomllib.loads((suite.HERE / 'scenarios.toml').read_text())[
            'scenario'
        ]
        there = {row.title for row in rows.every()}
        used = set()
        for name in names:
            entries = [
                entry for entry in scenarios if re.search(entry['tests'], name)
            ]
            self.assertEqual(1, len(entries), (name, entries))
            used.add(entries[0]['tests'])
        for entry in scenarios:
            self.assertIn(entry['tests'], used, 'no test is called that')
            self.assertTrue('row' not in entry or entry['row'] in there, entry)
