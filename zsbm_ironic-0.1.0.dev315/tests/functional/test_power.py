# SPDX-License-Identifier: Apache-2.0
"""Power, boot device, NMI and LED of both protocols, through the API."""

import requests

from tests import bmcs
from tests.functional import ironic_service
from zsbm_ironic.lab.emulator import fixtures as emulated


class TestIpmi(ironic_service.TestCase):
    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        self.node = self.enrol('zsbm', self.bmc.driver_info())
        self.manage(self.node)

    def ask(self, method, path, **kwargs):
        return requests.request(
            method,
            f'{self.ironic.url}/v1/nodes/{self.node}/{path}'.rstrip('/'),
            headers={'X-OpenStack-Ironic-API-Version': 'latest'},
            timeout=60,
            **kwargs,
        )

    def check(self, target, state, *actions):
        del self.bmc.machine.actions[:]
        found = self.power(self.node, target)
        self.assertIsNone(found.last_error)
        self.assertEqual(state, found.power_state)
        self.assertEqual(list(actions), self.bmc.machine.actions)

    def test_power(self):
        self.check('power on', 'power on', 'on')
        self.check('rebooting', 'power on', 'off', 'on')
        self.check('soft rebooting', 'power on', 'soft', 'on')
        self.check('soft power off', 'power off', 'soft')
        self.check('rebooting', 'power on', 'on')
        self.check('power off', 'power off', 'off')

    def test_power_without_power_off(self):
        answer = self.ask(
            'PATCH',
            '',
            json=[{'op': 'add', 'path': '/disable_power_off', 'value': True}],
        )
        self.assertEqual(200, answer.status_code, answer.text)
        self.bmc.machine.power = 'on'
        self.check('rebooting', 'power on', 'reset')

    def test_boot_device(self):
        for device in ('pxe', 'disk', 'cdrom', 'bios'):
            self.api.set_node_boot_device(self.node, device, persistent=True)
            found = self.api.get_node_boot_device(self.node)
            self.assertEqual(device, found['boot_device'])
        supported = self.api.get_node_supported_boot_devices(self.node)
        self.assertEqual(
            {'pxe', 'disk', 'cdrom', 'bios', 'safe'},
            set(supported['supported_boot_devices']),
        )

    def test_a_forced_boot_device_is_set_before_each_boot(self):
        self.api.patch_node(
            self.node,
            [
                {
                    'op': 'add',
                    'path': '/driver_info/ipmi_force_boot_device',
                    'value': True,
                }
            ],
        )
        self.api.set_node_boot_device(self.node, 'disk', persistent=True)
        self.check('power on', 'power on', 'boot hd', 'on')

    def test_nmi(self):
        self.assertEqual(
            204, self.ask('PUT', 'management/inject_nmi', json={}).status_code
        )
        self.assertIn('diag', self.bmc.machine.actions)

    def test_led(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        self.node = self.enrol('zsbm', bmc.driver_info())
        self.manage(self.node)
        led = 'management/indicators/identify@chassis'
        for state in ('on', 'off'):
            answer = self.ask('PUT', led, json={'state': state})
            self.assertEqual(204, answer.status_code, answer.text)
            self.assertEqual(state == 'on', bmc.chassis.indicator.is_lit)
            self.assertEqual(state, self.ask('GET', led).json()['state'])
        answer = self.ask('PUT', led, json={'state': 'blinking'})
        self.assertEqual(400, answer.status_code, answer.text)

    def test_ipmi_has_no_boot_mode(self):
        answer = self.ask('PUT', 'states/boot_mode', json={'target': 'bios'})
        self.assertIn(answer.status_code, (202, 400))
        found = self.api.get_node(self.node)
        self.assertIsNone(found.boot_mode)

    def test_a_bmc_that_dies(self):
        relay = self.useFixture(bmcs.LossyUdp(self.bmc.port))
        self.api.patch_node(
            self.node,
            [
                {
                    'op': 'replace',
                    'path': '/driver_info/bmc_port',
                    'value': relay.port,
                }
            ],
        )
        self.check('power on', 'power on', 'on')
        relay.loss = 1.0
        found = self.power(self.node, 'power off', seconds=60)
        self.assertIn('did not answer', found.last_error)
        self.assertIn('bmc_address', ' '.join(self.history(self.node)))
        relay.loss = 0.0
        self.check('power off', 'power off', 'off')


class TestRedfish(ironic_service.TestCase):
    options = {'zsbm_bmc': {'hold_sessions': 'false'}}

    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(emulated.EmulatedRedfish())
        self.node = self.enrol('zsbm', self.bmc.driver_info())
        self.manage(self.node)

    def test_power_and_boot_device(self):
        self.api.set_node_boot_device(self.node, 'pxe', persistent=False)
        found = self.api.get_node_boot_device(self.node)
        self.assertEqual('pxe', found['boot_device'])
        self.assertEqual('pxe', self.bmc.boot_device)
        for target, state in (
            ('power on', 'on'),
            ('rebooting', 'on'),
            ('soft power off', 'off'),
            ('power on', 'on'),
            ('power off', 'off'),
        ):
            found = self.power(self.node, target)
            self.assertIsNone(found.last_error)
            self.assertEqual(f'power {state}', found.power_state)
            self.assertEqual(state, self.bmc.power)

    def test_a_bmc_that_dies(self):
        self.bmc.faults.off = True
        found = self.power(self.node, 'power on', seconds=60)
        self.assertIn('did not answer', found.last_error)
        self.assertIn('bmc_address', found.last_error)
        self.bmc.faults.off = False
        found = self.power(self.node, 'power on')
        self.assertEqual('power on', found.power_state)
