# SPDX-License-Identifier: Apache-2.0
"""The serial console of both protocols, by Ironic's console API."""

import contextlib
import pathlib
import socket
import threading
import time
from urllib import parse

import fixtures
import requests

from tests import bmcs
from tests.functional import ironic_service
from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import fixtures as emulated
from zsbm_ironic.lab.emulator import service

GREETING = b'login on the serial line: '
LIMIT_S = 60


class Chassis(chassis_room.MemoryChassis):
    """A chassis with a serial line, on which something talks."""

    path = None

    @property
    def serial_path(self):
        return self.path


class SerialBmc(emulated.EmulatedIpmi):
    """An IPMI BMC whose machine greets on its serial line."""

    def _serve(self, ipmi_settings=None, redfish_settings=None):
        folder = self.useFixture(fixtures.TempDir()).path
        self.chassis = Chassis(self._asset, is_on=True)
        self.chassis.path = str(pathlib.Path(folder) / 'serial')
        self._line = socket.socket(socket.AF_UNIX)
        self._line.bind(self.chassis.path)
        self._line.listen()
        self.addCleanup(self._line.close)
        threading.Thread(target=self._talk, daemon=True).start()
        self.service = service.Service(
            self.chassis, ipmi_settings, redfish_settings
        )
        self.addCleanup(self.service.stop)

    def _talk(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _address = self._line.accept()
                threading.Thread(
                    target=self._greet, args=(peer,), daemon=True
                ).start()

    def _greet(self, peer):
        with contextlib.suppress(OSError):
            while True:
                peer.sendall(GREETING)
                time.sleep(1)


class TestConsole(ironic_service.TestCase):
    options = {
        'console': {
            'socat_address': '127.0.0.1',
            'port_range': '42000:42099',
        }
    }

    def read_console(self, node):
        """Switch the console on and read what the machine says."""
        result = self.api.validate_node(node, required=())
        self.assertTrue(result['console'].result, result['console'].reason)
        self.api.enable_node_console(node)
        deadline = time.monotonic() + LIMIT_S
        while not self.api.get_node(node).is_console_enabled:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)
        url = parse.urlsplit(
            self.api.get_node_console(node)['console_info']['url']
        )
        seen = b''
        while GREETING not in seen:
            self.assertLess(time.monotonic(), deadline)
            with (
                contextlib.suppress(OSError),
                socket.create_connection(
                    (url.hostname, url.port), 5
                ) as terminal,
            ):
                terminal.settimeout(5)
                while GREETING not in seen and (got := terminal.recv(999)):
                    seen += got

    def check_that_a_move_is_refused(self, node, driver):
        """A console that is on belongs to the type that started it."""
        answer = requests.patch(
            f'{self.ironic.url}/v1/nodes/{node}',
            params={'reset_interfaces': 'true'},
            json=[{'op': 'add', 'path': '/driver', 'value': driver}],
            headers={'X-OpenStack-Ironic-API-Version': 'latest'},
            timeout=60,
        )
        self.assertEqual(409, answer.status_code, answer.text)

    def off(self, node):
        self.api.disable_node_console(node)
        deadline = time.monotonic() + LIMIT_S
        while self.api.get_node(node).is_console_enabled:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)

    def test_ipmi(self):
        bmc = self.useFixture(SerialBmc('on'))
        node = self.enrol(
            'zsbm', bmc.driver_info(), console_interface='ipmitool-socat'
        )
        self.manage(node)
        self.read_console(node)
        self.check_that_a_move_is_refused(node, 'ipmi')
        # Our own session goes on beside it.
        found = self.power(node, 'power off')
        self.assertIsNone(found.last_error)
        self.off(node)

    def test_redfish(self):
        console = self.useFixture(
            SerialBmc('on', password=bmcs.PASSWORD, username=bmcs.USER)
        )
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol(
            'zsbm',
            bmc.driver_info(ipmi_port=console.port),
            console_interface='ipmitool-socat',
        )
        self.manage(node)
        self.read_console(node)
        self.off(node)

    def test_a_redfish_bmc_without_ipmi_says_so(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol(
            'zsbm',
            bmc.driver_info(ipmi_port=bmcs.free_port(socket.SOCK_DGRAM)),
            console_interface='ipmitool-socat',
        )
        self.manage(node)
        result = self.api.validate_node(node, required=())
        self.assertFalse(result['console'].result)
        self.assertIn('ipmi_address', result['console'].reason)
