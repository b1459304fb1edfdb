# SPDX-License-Identifier: Apache-2.0
"""Upstream's standalone scenarios of Ironic on a machine of the lab's cloud.

Each is a test of ironic-tempest-plugin with our hardware type and interfaces
in place of the names of upstream's; see tests/tempest/scenarios.toml for
those that are not here.
"""

import pathlib

import fixtures

from tests.e2e import figures
from tests.e2e.cloud import case
from tests.functional import image_server
from tests.tempest import suite
from zsbm_ironic.lab import layout, network
from zsbm_ironic.lab.cloud import api, fabric, world

LIMIT_S = 2200
STATE_S = 1500
PING_S = 600
# Tempest asks the APIs and pings servers: from one place.
ADDRESS = '203.0.113.251'
STANDALONE = 'scenario.ironic_standalone.'


class TempestTest(case.CloudTest):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.figures = self.useFixture(figures.Figures())
        self.make_available()
        fabric.join(
            self.tor,
            layout.NAMESPACE,
            fabric.FLAT_VLAN,
            f'{ADDRESS}/24',
            outer='tempest-sw',
            inner='tempest',
        )

    def by_url(self):
        """Return options of an image that is not in Glance."""
        image, address = self.image(), layout.CONDUCTOR_ADDRESSES[0]
        server = network.call(
            lambda: self.useFixture(
                image_server.FolderServer(image.path.parent, address=address)
            )
        )
        return {
            'whole_disk_image_checksum': image.sha256,
            'whole_disk_image_url': f'http://{address}:{server.port}/'
            f'{image.path.name}',
        }

    def scenario(self, name, nodes=None):
        """Run one, and find that all of it passed.

        :param nodes: see `tests.tempest.run`.
        """
        options = self.tempest_options()
        options['baremetal'] |= self.by_url()
        suite.write_config(self.folder, options)
        seen = suite.run(
            self.folder,
            [name],
            limit_s=LIMIT_S,
            nodes=nodes,
            ours=True,
            within=tuple(network.nsenter()),
        )
        self.assertNotEqual({}, seen, name)
        self.figures['scenarios'] = {
            test: one.outcome for test, one in seen.items()
        }
        self.assertEqual([], suite.problems(seen, []))

    def tempest_options(self):
        image = self.as_(
            'admin', lambda one: one.image.find_image(world.IMAGE).id
        )
        return {
            **suite.options(
                self.folder,
                auth_url=api.url(api.IDENTITY_PORT, '/v3'),
                region=api.REGION,
                password=self.site.passwords['admin'],
                # With Nova these tests leave servers to it.
                services={'glance', 'ironic', 'neutron'},
            ),
            'baremetal': {
                'active_timeout': str(STATE_S),
                'deploywait_timeout': str(STATE_S),
                'inspect_timeout': str(STATE_S),
                'power_timeout': str(STATE_S),
                'unprovision_timeout': str(STATE_S),
                'adjusted_root_disk_size_gb': '4',
                'boot_mode': 'uefi',
                'driver': 'zsbm',
                'enabled_boot_interfaces': 'zsbm-pxe,zsbm-http',
                'enabled_deploy_interfaces': 'zsbm',
                'enabled_hardware_types': 'zsbm',
                'enabled_inspect_interfaces': 'agent',
                'use_provision_network': 'true',
                'whole_disk_image_ref': image,
            },
            'compute': {
                'build_timeout': str(STATE_S),
                'fixed_network_name': world.FLAT,
            },
            'network': {'shared_physical_network': 'true'},
            'validation': {
                'connect_method': 'fixed',
                'ping_timeout': str(PING_S),
            },
        }

    def test_tempest_whole_disk(self):
        self.scenario(
            f'{STANDALONE}test_basic_ops.BaremetalDriverDirectWholedisk.'
        )

    def test_tempest_boot_by_pxe(self):
        self.scenario(
            f'{STANDALONE}test_basic_ops.BaremetalIPXEBootTestClass.'
        )

    def test_tempest_boot_by_http(self):
        self.scenario(
            f'{STANDALONE}test_basic_ops.BaremetalHttpIPXEBootTestClass.'
        )

    def test_tempest_manual_cleaning(self):
        self.scenario(
            f'{STANDALONE}test_cleaning.BaremetalCleaningIpmiWholedisk.'
        )

    def test_tempest_inspection(self):
        self.scenario(
            f'{STANDALONE}test_inspection_basic.BaremetalRedfishAgentInspect.'
        )

    def test_tempest_vif(self):
        """Tests of the API that ask Neutron, which the others have not."""
        nodes = self.folder / 'nodes.json'
        nodes.write_text('[{}]')
        self.scenario('api.admin.test_nodes.TestNodesVif.', nodes)
