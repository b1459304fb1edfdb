# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status` and a real Ironic: the way in, and the way out again.

One story, because each step stands on the one before: a stock Ironic, the
printed fragment, a node of ours, leaving in the order that is printed, the
same database and configuration without our package, and a deploy by that.
"""

import configparser
import ipaddress
import json
import os
import pathlib
import shlex
import shutil
import signal
import sys
import tempfile
import time

import fixtures
import testtools
import uv
from testtools import content

from tests import bmcs
from tests.functional import agent_process, image_server, ironic_service
from tests.unit.status import base
from zsbm_ironic.common import process
from zsbm_ironic.status import host

MAC = '52:54:00:5a:00:01'
STARTING_S = 60
TOP = pathlib.Path(__file__).resolve().parents[2]
STOCK = {
    'DEFAULT': {
        'enabled_hardware_types': 'ipmi,redfish',
        'enabled_power_interfaces': 'ipmitool,redfish',
        'enabled_management_interfaces': 'ipmitool,redfish',
        'enabled_boot_interfaces': 'ipxe,pxe,redfish-virtual-media',
        'enabled_deploy_interfaces': 'direct',
        'enabled_vendor_interfaces': 'no-vendor,ipmitool,redfish',
    },
    # The agent is started by the test and not by the boot of a machine.
    'agent': {'manage_agent_boot': 'false', 'require_tls': 'false'},
}


class WayTest(base.StatusTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ironic = ironic_service.Ironic(STOCK)
        self.addCleanup(self.ironic.remove)
        self.addOnException(self._keep_log)
        for name, value in (
            ('OS_AUTH_TYPE', 'none'),
            ('OS_ENDPOINT', self.ironic.url),
        ):
            self.useFixture(fixtures.EnvironmentVariable(name, value))
        address = ipaddress.IPv4Interface('198.51.100.1/24')
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.status.host.addresses',
                lambda: [host.Address('eth1', address)],
            )
        )

    def _keep_log(self, _exc_info: object) -> None:
        log = self.ironic.log()[-20000:]
        self.addDetail('ironic.log', content.text_content(log))

    def _status(self, *words: str) -> tuple[int, str, str]:
        return self.run_status(
            *words, '--config-file', str(self.ironic.config_file)
        )

    def _lay_over(self, text: str) -> None:
        """Put the lines of a fragment over ironic.conf."""
        parser = configparser.RawConfigParser(default_section='none')
        parser.read(self.ironic.config_file)
        parser.read_string(text)
        with self.ironic.config_file.open('w') as out:
            parser.write(out)

    def _restart(self) -> None:
        self.ironic.stop()
        self.ironic.start()

    def _left(self) -> dict:
        status, out, err = self._status('leave', '-f', 'json')
        self.assertEqual('', err)
        left = json.loads(out)
        self.assertEqual(int(not left['finished']), status)
        return left

    def test_in_by_the_fragment_and_out_by_the_list(self) -> None:
        self._enable()
        node = self._enrol()
        self._check(node)
        self._move(node)
        self._drop_options()
        self._uninstall(node)
        self._deploy(node)

    def _enable(self) -> None:
        status, text, err = self._status('config')
        self.assertEqual((0, ''), (status, err))
        self._lay_over(text)
        self.ironic.start()
        found = {driver.name for driver in self.ironic.client.drivers()}
        self.assertEqual({'ipmi', 'redfish', 'zsbm'}, found)

    def _enrol(self) -> str:
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        node = self.ironic.client.create_node(
            name='web-3',
            driver='zsbm',
            driver_info={
                'ipmi_address': bmcs.ADDRESS,
                'ipmi_port': self.bmc.port,
                'ipmi_username': bmcs.USER,
                'ipmi_password': bmcs.PASSWORD,
            },
        )
        self.assertEqual('zsbm-pxe', node.boot_interface)
        for kind in ('power', 'management', 'deploy', 'vendor'):
            self.assertEqual('zsbm', getattr(node, f'{kind}_interface'))
        self.assertEqual('agent', node.inspect_interface)
        self.assertEqual('agent', node.rescue_interface)
        return node.id

    def _check(self, node: str) -> None:
        _status, out, _err = self._status(
            'check', '-f', 'json', '--node', node
        )
        levels = {row['name']: row['level'] for row in json.loads(out)}
        bad = {
            name
            for name, level in levels.items()
            if level != 'OK' and name.startswith('[DEFAULT]')
        }
        self.assertEqual(set(), bad)
        self.assertEqual('OK', levels['node web-3'], out)

    def _move(self, node: str) -> None:
        (left,) = self._left()['nodes']
        self.assertEqual('web-3', left['name'])
        for command in left['commands']:
            words = shlex.split(command)
            self.assertEqual(['openstack', 'baremetal'], words[:2])
            status, output = self.ironic.baremetal(*words[2:])
            self.assertEqual(0, status, output)
        moved = self.ironic.client.get_node(node)
        self.assertEqual('ipmi', moved.driver)
        self.assertEqual('ipxe', moved.boot_interface)

    def _drop_options(self) -> None:
        left = self._left()
        self.assertEqual([], left['nodes'])
        # What happens to whoever uninstalls before this step.
        self._refused()
        text = {}
        for option in left['options']:
            group, name = option['name'].lstrip('[').split(']')
            value = option['afterwards']
            text.setdefault(group, []).append(
                f'{name} = {value.split(",")[0] if group == "dhcp" else value}'
            )
        self._lay_over(
            '\n'.join(
                '\n'.join([f'[{group}]', *lines])
                for group, lines in text.items()
            )
        )
        self.ironic.start()
        self.assertTrue(self._left()['finished'])

    def _refused(self) -> None:
        """Without the package, and with our names, no conductor starts."""
        self.ironic.stop()
        log = self.folder / 'refused.log'
        refused = process.start(
            [
                self._without_us() / 'ironic',
                *('--config-file', self.ironic.config_file),
                *('--log-file', log),
            ],
            log=log,
        )
        try:
            deadline = time.monotonic() + STARTING_S
            while 'exited with status 1' not in log.read_text():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.2)
        finally:
            os.killpg(refused.pid, signal.SIGKILL)
            refused.wait()
        self.addDetail(
            'refused.log', content.text_content(log.read_text()[:4000])
        )
        self.assertIn('zsbm', log.read_text())

    def _uninstall(self, node: str) -> None:
        self.ironic.stop()
        self.ironic.bin = self._without_us()
        self.ironic.start()
        found = {driver.name for driver in self.ironic.client.drivers()}
        self.assertEqual({'ipmi', 'redfish'}, found)
        client = self.ironic.client
        client.set_node_provision_state(node, 'manage')
        client.wait_for_nodes_provision_state([node], 'manageable', timeout=60)

    def _deploy(self, node: str) -> None:
        """Deploy by the stock Ironic, with a stock ramdisk."""
        client = self.ironic.client
        client.create_port(node_id=node, address=MAC)
        images = self.useFixture(image_server.ImageServer())
        client.update_node(
            node,
            instance_info=images.instance_info,
            properties={'capabilities': 'boot_mode:bios'},
        )
        client.set_node_provision_state(node, 'provide')
        client.wait_for_nodes_provision_state([node], 'available', timeout=60)
        client.set_node_provision_state(node, 'active')
        deadline = time.monotonic() + ironic_service.STATE_S
        while self.bmc.machine.power != 'on':
            self.assertLess(time.monotonic(), deadline, 'never powered on')
            time.sleep(0.2)
        self.useFixture(
            agent_process.Agent(
                self.ironic,
                MAC,
                in_band=None,
                on_power_off=self.bmc.machine.power_off,
            )
        )
        client.wait_for_nodes_provision_state(
            [node], 'active', timeout=ironic_service.STATE_S
        )

    def _without_us(self) -> pathlib.Path:
        """Return the programs of an environment with a stock Ironic only."""
        if not hasattr(self, 'stock'):
            folder = tempfile.mkdtemp()
            self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
            tool = uv.find_uv_bin()
            python = pathlib.Path(folder, 'bin', 'python')
            for words in (
                ('venv', '-q', '--python', sys.executable, folder),
                (
                    *('pip', 'install', '-q', '--python', str(python)),
                    *('-c', str(TOP / 'constraints.txt'), 'ironic'),
                ),
            ):
                process.run([tool, *words], timeout_s=300)
            self.stock = python.parent
        return self.stock


class CommandTest(testtools.TestCase):
    def test_help_of_each_command_as_a_person_calls_it(self) -> None:
        program = pathlib.Path(sys.executable).with_name('zsbm-status')
        for words in ((), ('config',), ('check',), ('leave',)):
            done = process.run([program, *words, '--help'], timeout_s=60)
            self.assertIn('usage: zsbm-status', done.stdout)
