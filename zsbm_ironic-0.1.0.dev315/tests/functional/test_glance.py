# SPDX-License-Identifier: Apache-2.0
"""Verdicts of images in a real Glance, read by a real Ironic."""

import json
import pathlib
import subprocess

import fixtures
import openstack

from tests import bmcs
from tests.functional import glance_service, ironic_service
from tests.unit.image import made_up
from zsbm_ironic.image import hardware, inventory, verdicts

MAC = '52:54:00:5a:00:02'
SERVER = hardware.PROFILES['bios-sata']
DISK_BYTES = 8 << 30
CHECK_S = 60


class TestGlance(ironic_service.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.glance = glance_service.Glance()
        cls.addClassCleanup(cls.glance.remove)
        cls.glance.start()
        cls.options = {
            'glance': {
                'auth_type': 'none',
                'endpoint_override': cls.glance.url,
            },
        }
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.bmc = self.useFixture(bmcs.PyghmiBmc())

    def inspected(self):
        """Return the ID of a node of which a ramdisk told what it is."""
        node = self.enrol(
            'zsbm',
            self.bmc.driver_info(),
            name='web-3',
            inspect_interface='agent',
            properties={'capabilities': 'boot_mode:bios'},
        )
        self.api.create_port(node_id=node, address=MAC)
        self.manage(node)
        self.api.set_node_provision_state(node, 'inspect')
        self.wait_for(node, 'inspect wait')
        told = {
            'inventory': {
                'bmc_address': bmcs.ADDRESS,
                'boot': {'current_boot_mode': 'bios'},
                'cpu': {'architecture': 'x86_64', 'count': 1},
                'disks': [],
                'interfaces': [{'name': 'eth0', 'mac_address': MAC}],
                'memory': {'physical_mb': 1024},
            },
            inventory.KEY: inventory.kept(SERVER, DISK_BYTES),
        }
        answer = self.api.post(
            f'/continue_inspection?node_uuid={node}',
            json=told,
            microversion='1.84',
        )
        openstack.exceptions.raise_from_response(answer)
        self.wait_for(node, 'manageable')
        return node

    def uploaded(self, path):
        """Return an image of Glance with what is in a file."""
        image = self.glance.client.create_image(
            path.stem,
            filename=str(path),
            disk_format='raw',
            container_format='bare',
            visibility='public',
        )
        self.addCleanup(self.glance.client.delete_image, image.id)
        return image

    def check(self, path, *words):
        """Run the check as a person does who has the cloud's name."""
        clouds = self.folder / 'clouds.yaml'
        entry = {
            'auth_type': 'none',
            'baremetal_api_version': '1.95',
            'baremetal_endpoint_override': self.ironic.url,
            'image_endpoint_override': self.glance.url,
        }
        clouds.write_text(json.dumps({'clouds': {'lab': entry}}))
        return subprocess.run(
            [ironic_service.BIN / 'zsbm-image', 'check', path]
            + ['--node', 'web-3', '--os-cloud', 'lab', *words],
            capture_output=True,
            text=True,
            timeout=CHECK_S,
            check=False,
            env={
                **ironic_service.environment(),
                'OS_CLIENT_CONFIG_FILE': str(clouds),
            },
        )

    def validated(self, node):
        """Return what validate says of a node's image."""
        return self.api.validate_node(node, required=None)['deploy']

    def test_a_verdict_is_kept_with_the_image_and_read_at_validate(self):
        node = self.inspected()
        image = made_up.Image(self.folder)
        # A program of another architecture.
        image.files['bin/sh'] = b'\x7fELF'.ljust(18, b'\0') + b'\xb7\0'
        path = image.write()
        there = self.uploaded(path)
        self.api.update_node(
            node,
            instance_info={
                'image_source': there.id,
                'image_type': 'whole-disk',
            },
        )
        self.assertNotIn('aarch64', str(self.validated(node).reason))
        done = self.check(path, '--glance', there.name)
        self.assertEqual(5, done.returncode, done.stderr)
        self.assertIn(f'kept with image {there.id} in Glance', done.stderr)
        found = self.validated(node)
        self.assertFalse(found.result)
        for word in ('Node web-3', 'aarch64', 'zsbm-image check'):
            self.assertIn(word, found.reason)

    def test_a_second_check_adds_to_the_first(self):
        self.inspected()
        path = made_up.Image(self.folder).write()
        there = self.uploaded(path)
        for words in ((), ('--hardware', 'uefi-nvme')):
            done = self.check(path, '--glance', there.id, *words)
            self.assertIn(done.returncode, (0, 3, 4), done.stderr)
        kept = self.glance.client.get_image(there.id)
        text = kept.properties[verdicts.PROPERTY]
        names = {one['name'] for one in json.loads(text)['servers'].values()}
        self.assertEqual({'web-3', 'uefi-nvme'}, names)

    def test_another_file_is_not_taken_for_it(self):
        self.inspected()
        path = made_up.Image(self.folder).write()
        there = self.uploaded(path)
        other = self.folder / 'other.raw'
        other.write_bytes(path.read_bytes() + bytes(512))
        done = self.check(other, '--glance', there.name)
        self.assertEqual(1, done.returncode)
        self.assertIn('not the file that was checked', done.stderr)
        kept = self.glance.client.get_image(there.id)
        self.assertNotIn(verdicts.PROPERTY, kept.properties or {})

    def test_an_image_that_is_not_there(self):
        self.inspected()
        path = made_up.Image(self.folder).write()
        done = self.check(path, '--glance', 'of-nobody')
        self.assertEqual(1, done.returncode)
        self.assertIn('of-nobody', done.stderr)
