# SPDX-License-Identifier: Apache-2.0
"""What inspection keeps of a server, from what the agent has found of it."""

import functools
import json
import pathlib
from typing import Any

import fixtures
import testtools
from ironic_python_agent import config as _agent_options  # noqa: F401
from ironic_python_agent import errors, hardware
from oslo_utils import units

from zsbm_ironic.image import hardware as servers
from zsbm_ironic.image import inventory
from zsbm_ironic.ramdisk import inspection, this_server, version

SERVER = servers.PROFILES['bios-sata']
MACS = ('52:54:00:5A:00:09', '52:54:00:5a:00:08')


class CollectTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.answers: dict[str, Any] = {
            'get_os_install_device': '/dev/sdx',
            'list_block_devices': [
                hardware.BlockDevice('/dev/sdx', 'disk', 8 * units.Gi, True)
            ],
            'list_network_interfaces': [],
        }
        self.useFixture(
            fixtures.MonkeyPatch(
                'ironic_python_agent.hardware.dispatch_to_managers',
                self.answer,
            )
        )
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, text in (
            ('block/sdx/modalias', SERVER.disk[0]),
            ('net/eth0/address', MACS[0].lower()),
            ('net/eth0/device/modalias', SERVER.nics[0].modalias),
        ):
            path = root / 'sys/class' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'{text}\n')
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.ramdisk.this_server.hardware_of',
                functools.partial(this_server.hardware_of, root=root),
            )
        )
        self.data: dict[str, Any] = {
            'inventory': {
                'interfaces': [
                    hardware.NetworkInterface(f'eth{number}', mac)
                    for number, mac in enumerate(MACS)
                ]
                + [hardware.NetworkInterface('ib0', None)]
            }
        }

    def answer(self, method: str) -> Any:
        """Answer as the hardware managers of a server do."""
        found = self.answers[method]
        if isinstance(found, Exception):
            raise found
        return found

    def test_of_a_server(self) -> None:
        inspection.collect(self.data, None)
        # Ironic keeps it as JSON.
        told = json.dumps(self.data[inventory.KEY])
        whole = {'plugin_data': {inventory.KEY: json.loads(told)}}
        found = inventory.of_inventory('web-3', whole, [])
        self.assertEqual(8 * units.Gi, found.disk_bytes)
        self.assertEqual(SERVER.disk[:1], found.disk)
        self.assertEqual([MACS[0].lower()], [nic.mac for nic in found.nics])

    def test_without_a_disk(self) -> None:
        self.answers['get_os_install_device'] = errors.DeviceNotFound('none')
        inspection.collect(self.data, None)
        self.assertNotIn(inventory.KEY, self.data)

    def test_what_goes_wrong_keeps_nobody_from_inspecting(self) -> None:
        log = self.useFixture(fixtures.FakeLogger())
        self.answers['list_block_devices'] = OSError('lsblk is not there')
        inspection.collect(self.data, None)
        self.assertEqual(['inventory', version.NETWORK_KEY], list(self.data))
        self.assertIn('lsblk is not there', log.output)
