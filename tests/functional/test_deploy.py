# SPDX-License-Identifier: Apache-2.0
"""Deploys by a real Ironic and the agent's own code, without a machine.

The BMC is pyghmi's; when it is told to power on, the agent starts, as if the
machine had booted the ramdisk.
"""

import contextlib
import datetime
import hashlib
import pathlib
import sqlite3
import time
from typing import Any

import fixtures
import requests

from tests import bmcs
from tests.functional import (
    agent_process,
    image_server,
    ironic_service,
    neutron_server,
)
from tests.unit.image import made_up
from zsbm_ironic.common import process
from zsbm_ironic.drivers import deploy

MAC = '52:54:00:5a:00:01'


class DeployCase(ironic_service.TestCase):
    """A node that can be deployed, and a machine that does as it is told."""

    options = {
        'agent': {'manage_agent_boot': 'false', 'require_tls': 'false'},
        'conductor': {'automated_clean': 'false'},
    }
    # Of its port, beside the address.
    port: dict[str, Any] = {}

    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        images = self.useFixture(image_server.ImageServer())
        self.info = images.instance_info
        self.node = self.enrol(
            'zsbm',
            self.bmc.driver_info(),
            name='web-3',
            instance_info=self.info,
            properties={'capabilities': 'boot_mode:bios'},
        )
        self.api.create_port(node_id=self.node, address=MAC, **self.port)
        self.manage(self.node)
        self.api.set_node_provision_state(self.node, 'provide')
        self.wait_for(self.node, 'available')

    def _deploy(self, powers_off=True, target='active', **ramdisk):
        """Ask for a deploy; the ramdisk comes up once the power is on."""
        done = len(self.bmc.machine.actions)
        self.api.set_node_provision_state(self.node, target)
        deadline = time.monotonic() + 60
        while 'on' not in self.bmc.machine.actions[done:]:
            found = self.api.get_node(self.node)
            self.assertNotEqual('deploy failed', found.provision_state)
            self.assertLess(time.monotonic(), deadline, 'never powered on')
            time.sleep(0.1)
        return self.useFixture(
            agent_process.Agent(
                self.ironic,
                MAC,
                on_power_off=self._powered_off if powers_off else None,
                **ramdisk,
            )
        )

    def set_in_database(self, column, value):
        """Change what the API does not let a client change."""
        path = self.ironic.root / 'ironic.sqlite'
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            database.execute(
                f'UPDATE nodes SET {column} = ? WHERE uuid = ?',  # noqa: S608
                (value, self.node),
            )
            database.commit()

    def _powered_off(self):
        self.bmc.machine.power = 'off'

    def _failed(self):
        deadline = time.monotonic() + ironic_service.STATE_S
        while True:
            found = self.api.get_node(self.node)
            if found.provision_state == 'deploy failed':
                return found
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)


class TestDeploy(DeployCase):
    def _fails_at_check(self, **ramdisk):
        agent = self._deploy(**ramdisk)
        self._failed()
        self.assertNotIn('execute_deploy_step', agent.log())
        message = self.history(self.node)[-1]
        self.assertIn('deploy.check_ramdisk', message)
        minimum = deploy.MINIMUM_IN_BAND_VERSION
        for word in ('web-3', minimum, 'zsbm-ironic[ramdisk]'):
            self.assertIn(word, message)
        agent.end()
        self.bmc.machine.power = 'off'
        return message

    def test_a_ramdisk_with_our_part_deploys(self):
        self._deploy()
        self.wait_for(self.node, 'active')
        self.assertEqual('on', self.bmc.machine.power)
        status, output = self.ironic.baremetal(
            *('node', 'boot', 'timeline', 'web-3', '-f', 'value'),
            *('-c', 'Source', '-c', 'Event', '-c', 'Detail'),
        )
        self.assertEqual(0, status, output)
        told = [line.split()[:3] for line in output.splitlines()]
        self.assertEqual(
            [
                ['conductor', 'deploy-step', 'deploy'],
                ['bmc', 'rebooting'],
                ['agent', 'agent-up'],
                ['conductor', 'deploy-step', 'check_ramdisk'],
                ['conductor', 'deploy-step', 'check_network'],
                ['conductor', 'deploy-step', 'write_image'],
                ['conductor', 'deploy-step', 'adapt_image'],
                ['conductor', 'deploy-step', 'prepare_instance_boot'],
                ['conductor', 'deploy-step', 'tear_down_agent'],
                ['conductor', 'deploy-step', 'switch_to_tenant_network'],
                ['conductor', 'deploy-step', 'boot_instance'],
                ['bmc', 'power-on'],
            ],
            [words[:2] if words[0] == 'agent' else words for words in told],
        )

    def test_an_image_of_a_vm_is_made_to_boot(self):
        image = self._image_of_a_vm()
        self._deploy(disk=image.write())
        self.wait_for(self.node, 'active')
        info = self.api.get_node(self.node).driver_internal_info
        self.assertEqual('debian 12', info['zsbm_adapted']['system'])
        (told,) = [
            event
            for event in self.history(self.node)
            if 'was made for this server' in event
        ]
        self.assertIn('Node web-3', told)
        self.assertIn(f'root=UUID={made_up.UUID}, not /dev/vda1', told)

    def test_an_image_that_cannot_boot_stops_the_deploy(self):
        image = self._image_of_a_vm()
        image.files['bin/sh'] = b'\x7fELF'.ljust(18, b'\0') + b'\xb7\0'
        agent = self._deploy(disk=image.write())
        self._failed()
        message = self.history(self.node)[-1]
        for word in ('adapt_image', 'aarch64', 'an image for this'):
            self.assertIn(word, message)
        agent.end()

    def test_an_image_that_nobody_can_judge(self):
        self._switch('always')
        agent = self._deploy()
        self._failed()
        self.assertIn('no Linux was found', self.history(self.node)[-1])
        agent.end()
        self.bmc.machine.power = 'off'
        self._switch('auto')
        self._deploy()
        self.wait_for(self.node, 'active')
        told = ' '.join(self.history(self.node))
        self.assertIn('the image was left as it is', told)

    def test_no_image_is_looked_at(self):
        self._switch('never')
        agent = self._deploy(disk=self._image_of_a_vm().write())
        self.wait_for(self.node, 'active')
        self.assertNotIn("'step': 'adapt_image', 'args'", agent.log())
        self._switch('maybe')
        result = self.api.validate_node(self.node, required=None)['deploy']
        self.assertFalse(result.result)
        for word in ('web-3', 'maybe', 'auto, always, never'):
            self.assertIn(word, result.reason)

    def _switch(self, choice):
        self.api.update_node(
            self.node,
            instance_info={**self.info, 'zsbm_adapt_image': choice},
        )

    def _image_of_a_vm(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        image = made_up.Image(folder)
        menu = image.files['boot/grub/grub.cfg'].decode()
        image.files['boot/grub/grub.cfg'] = menu.replace(
            f'UUID={made_up.UUID}', '/dev/vda1'
        ).encode()
        return image

    def test_a_heartbeat_that_meets_a_locked_node_is_not_lost(self):
        agent = self._deploy(write_s=4)
        self._until(lambda: 'write_image' in self._step())
        beats = agent.log().count('heartbeat successful')
        self._lock('somebody')
        self._until(lambda: agent.log().count('heartbeat successful') > beats)
        time.sleep(1)
        self._lock(None)
        # Upstream's next heartbeat comes after 90 s at the earliest.
        self.wait_for(self.node, 'active', seconds=45)

    def test_faults_of_an_image_name_node_and_remedy_and_pass(self):
        for fault, remedy in (
            ('checksum', 'image_checksum'),
            ('disk-full', 'larger disk'),
            ('no-disk', 'root_device'),
        ):
            agent = self._deploy(fault=fault)
            self._failed()
            message = self.history(self.node)[-1]
            self.assertIn('Node web-3', message)
            self.assertIn(remedy, message)
            agent.end()
            self.bmc.machine.power = 'off'
        self._deploy()
        self.wait_for(self.node, 'active')

    def test_what_another_deploy_interface_boots_is_refused_by_name(self):
        url = 'http://198.51.100.1/live.iso'
        self.api.update_node(self.node, instance_info={'boot_iso': url})
        result = self.api.validate_node(self.node, required=None)['deploy']
        self.assertFalse(result.result)
        for word in ('web-3', 'boot_iso', '--deploy-interface ramdisk'):
            self.assertIn(word, result.reason)

    def test_an_image_that_is_not_there(self):
        info = {**self.info, 'image_source': f'{self.info["image_source"]}.no'}
        self.api.update_node(self.node, instance_info=info)
        self.api.set_node_provision_state(self.node, 'active')
        self._failed()
        message = self.history(self.node)[-1]
        for word in ('web-3', 'image.raw.no', '404', 'image_source'):
            self.assertIn(word, message)
        self.api.update_node(self.node, instance_info=self.info)
        self._deploy()
        self.wait_for(self.node, 'active')

    def test_a_conductor_killed_while_an_image_is_written(self):
        self._deploy(write_s=5)
        self._until(lambda: 'write_image' in self._step())
        self._crash()
        self.wait_for(self.node, 'active')

    def test_a_conductor_killed_between_two_waits(self):
        agent = self._deploy(powers_off=False)
        self._until(lambda: 'tear_down_agent' in self._step())
        self._crash()
        found = self._failed()
        self.assertIn('deploy', found.last_error.lower())
        self.assertIsNone(found.reservation)
        agent.end()
        self.bmc.machine.power = 'off'
        # Nothing is left that keeps the next try from working.
        self._deploy()
        self.wait_for(self.node, 'active')

    def _crash(self):
        self.ironic.stop(hard=True)
        self.ironic.start()
        self.api = self.ironic.client

    def _step(self):
        return str(self.api.get_node(self.node).deploy_step)

    def _until(self, condition, seconds=45):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def _lock(self, owner):
        """Lock the node as another conductor thread does."""
        self.set_in_database('reservation', owner)

    def test_stock_and_older_ramdisks_are_refused_before_the_writing(self):
        self.assertIn('stock', self._fails_at_check(in_band=None))
        self.assertIn('0.9', self._fails_at_check(in_band='0.9'))

    def test_a_stock_ramdisk_deploys_by_the_stock_interface(self):
        self.api.update_node(self.node, deploy_interface='direct')
        self._deploy(in_band=None)
        self.wait_for(self.node, 'active')


class TestNetwork(DeployCase):
    """What the ramdisk hears of its switch is held against the port."""

    switch = '52:54:00:5a:ff:01'
    port = {
        'local_link_connection': {
            'switch_id': switch,
            'switch_info': 'tor',
            'port_id': 'swp1',
        },
        'physical_network': 'physnet1',
    }

    @classmethod
    def setUpClass(cls):
        neutron = neutron_server.NeutronServer(
            '198.51.100.0/24',
            [f'198.51.100.{last}' for last in range(200, 250)],
        )
        neutron.setUp()
        cls.addClassCleanup(neutron.cleanUp)
        neutron.data['agents'] = {}
        neutron.subnet['enable_dhcp'] = True
        neutron.data['networks'][neutron.network].update(
            {
                'provider:network_type': 'flat',
                'provider:physical_network': 'physnet1',
                'mtu': 1500,
            }
        )
        cls.options = {
            **cls.options,
            'DEFAULT': {'enabled_network_interfaces': 'noop,zsbm-flat'},
            'neutron': {
                'auth_type': 'none',
                'endpoint_override': neutron.url,
                'cleaning_network': neutron.network,
                'provisioning_network': neutron.network,
            },
            'zsbm_network': {'binding_timeout_s': '5'},
        }
        cls.neutron = neutron
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.api.update_node(self.node, network_interface='zsbm-flat')
        made = requests.post(
            f'{self.neutron.url}/v2.0/ports',
            json={'port': {'network_id': self.neutron.network}},
            timeout=10,
        )
        self.vif = made.json()['port']['id']
        self.api.attach_vif_to_node(self.node, self.vif)

    def test_a_cable_in_another_port_is_found_before_the_image(self):
        agent = self._deploy(switch_port=(self.switch, 'swp7'))
        self._failed()
        message = self.history(self.node)[-1]
        for word in ('web-3', MAC, 'swp1', 'swp7', 'local_link_connection'):
            self.assertIn(word, message)
        written = "'step': 'write_image', 'args'"
        self.assertNotIn(written, agent.log())
        agent.end()
        self.bmc.machine.power = 'off'
        # Nothing is left of the network that it was in.
        self.assertEqual([self.vif], [one['id'] for one in self.neutron.ports])
        agent = self._deploy(switch_port=(self.switch, 'swp1'))
        self.wait_for(self.node, 'active')
        self.assertIn(written, agent.log())


class TestFastTrack(DeployCase):
    options = {
        **DeployCase.options,
        'deploy': {'fast_track': 'true', 'fast_track_timeout': '300'},
    }

    def test_a_rebuild_does_not_take_the_os_for_the_agent(self):
        """An inspection and an agent were there a moment ago."""
        self._deploy()
        self.wait_for(self.node, 'active')
        info = self.api.get_node(self.node).driver_internal_info
        for name in ('agent_url', 'agent_last_heartbeat'):
            self.assertNotIn(name, info)
        now = datetime.datetime.now(datetime.UTC)
        self.set_in_database(
            'inspection_finished_at', f'{now:%Y-%m-%d %H:%M:%S}'
        )
        self._deploy(target='rebuild')
        self.wait_for(self.node, 'active')


class TestRebuild(DeployCase):
    """The conductor prepares images that are files of its own."""

    @classmethod
    def setUpClass(cls):
        port = bmcs.free_port()
        url = f'http://{bmcs.ADDRESS}:{port}'
        cls.options = {**cls.options, 'deploy': {'http_url': url}}
        super().setUpClass()
        server = image_server.FolderServer(cls.ironic.root / 'httpboot', port)
        server.setUp()
        cls.addClassCleanup(server.cleanUp)

    def _image(self, name, content):
        """Make a qcow2 file; return its path and what it is when raw."""
        raw = self.ironic.root / f'{name}.raw'
        raw.write_bytes(content * (1 << 20))
        made = raw.with_suffix('.qcow2')
        process.run(
            ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, made],
            timeout_s=60,
        )
        return made, hashlib.sha256(raw.read_bytes()).hexdigest()

    def _written(self, target, raw_digest, **told):
        """Deploy or rebuild with what an operator sets for the image."""
        known = self.api.get_node(self.node).instance_info
        self.api.update_node(self.node, instance_info={**known, **told})
        self._powered_off()
        self._deploy(target=target)
        self.wait_for(self.node, 'active')
        found = self.api.get_node(self.node).instance_info
        self.assertEqual('raw', found['image_disk_format'])
        self.assertEqual(raw_digest, found['image_os_hash_value'])
        return found

    def test_with_other_images(self):
        first, first_raw = self._image('first', b'1')
        other, other_raw = self._image('other', b'2')
        source = f'file://{first}'
        digest = hashlib.sha256(first.read_bytes()).hexdigest()
        told = {'image_source': source, 'image_checksum': digest}
        self._written('active', first_raw, **told)
        source = f'file://{other}'
        digest = hashlib.sha256(other.read_bytes()).hexdigest()
        told = {'image_source': source, 'image_checksum': digest}
        self._written('rebuild', other_raw, **told)
        # The same file has other content now; what was said of it before
        # does not hold any more.
        first.replace(other)
        self.assertNotEqual(first_raw, other_raw)
        digest = hashlib.sha256(other.read_bytes()).hexdigest()
        self._written('rebuild', first_raw, image_checksum=digest)
