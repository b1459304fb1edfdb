# SPDX-License-Identifier: Apache-2.0
"""The test OS: its disk, its first boot's network, what makes it ours."""

import json
import os
import pathlib
import struct
import subprocess
import uuid

import fixtures
from oslotest import base

from zsbm_ironic.image import bios_grub
from zsbm_ironic.lab.images import debian, os_image

UUID = uuid.UUID('11111111-2222-3333-4444-555555555555')
MAC = '52:54:00:5a:00:01'
OTHER_MAC = '52:54:00:5a:00:02'


class TestEmbed(base.BaseTestCase):
    """GRUB's first sector names the second, which names the rest."""

    def test_sectors_are_linked_and_the_partition_table_stays(self):
        image = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'i')
        table = b'T' * (512 - 440)
        image.write_bytes(b'\0' * 440 + table + b'\0' * 512 * 4096)
        core = b'C' * (3 * 512 + 100)
        bios_grub.embed(image, b'B' * 512, core, core_sector=2048)
        content = image.read_bytes()
        self.assertEqual(table, content[440:512])
        self.assertEqual(2048, struct.unpack_from('<Q', content, 0x5C)[0])
        self.assertEqual(b'\x90\x90', content[0x66:0x68])
        place = 2048 * 512
        start, sectors, segment = struct.unpack_from(
            '<QHH', content, place + 500
        )
        self.assertEqual((2049, 3, 0x820), (start, sectors, segment))
        self.assertEqual(core[512:], content[place + 512 :][: len(core) - 512])


class TestNetwork(base.BaseTestCase):
    """network_data.json becomes files of systemd-networkd, by real jq."""

    def files(self, data):
        done = subprocess.run(
            ['jq', '-r', '-f', str(debian.DATA / 'os' / 'network.jq')],
            input=json.dumps(data),
            capture_output=True,
            text=True,
            check=True,
        )
        return {
            name: content.replace('\\n', '\n')
            for name, content in (
                line.split('\t', 1) for line in done.stdout.splitlines()
            )
        }

    def test_nothing_to_say(self):
        for data in ({}, {'links': [], 'networks': []}):
            self.assertEqual({}, self.files(data))

    def test_static_address(self):
        link = {'id': 'l', 'type': 'phy', 'ethernet_mac_address': MAC}
        network = {
            'link': 'l',
            'type': 'ipv4',
            'ip_address': '192.0.2.7',
            'netmask': '255.255.255.128',
            'routes': [
                {
                    'network': '0.0.0.0',  # noqa: S104
                    'netmask': '0.0.0.0',  # noqa: S104
                    'gateway': '192.0.2.1',
                },
                {
                    'network': '198.51.100.0',
                    'netmask': '255.255.255.0',
                    'gateway': '192.0.2.2',
                },
            ],
        }
        (text,) = self.files({'links': [link], 'networks': [network]}).values()
        self.assertEqual(
            f'[Match]\nMACAddress={MAC}\nType=ether\n[Network]\n'
            'Address=192.0.2.7/25\n[Route]\nGateway=192.0.2.1\n'
            '[Route]\nGateway=192.0.2.2\nDestination=198.51.100.0/24\n',
            text,
        )

    def test_vlan_over_a_link(self):
        links = [
            {'id': 'l', 'type': 'phy', 'ethernet_mac_address': MAC},
            {'id': 'v', 'type': 'vlan', 'vlan_id': 7, 'vlan_link': 'l'},
        ]
        networks = [{'link': 'v', 'type': 'ipv4_dhcp'}]
        files = self.files({'links': links, 'networks': networks})
        self.assertIn('VLAN=vlan7\n', files['10-link0.network'])
        self.assertIn('Id=7\n', files['10-vlan7.netdev'])
        self.assertEqual(
            '[Match]\nName=vlan7\n[Network]\nDHCP=ipv4\n',
            files['10-link1.network'],
        )

    def test_vlan_has_an_address_of_its_own(self):
        links = [
            {'id': 'l', 'type': 'phy', 'ethernet_mac_address': MAC},
            {
                'id': 'v',
                'type': 'vlan',
                'vlan_id': 7,
                'vlan_link': 'l',
                'vlan_mac_address': OTHER_MAC,
            },
        ]
        self.assertIn(
            f'MACAddress={OTHER_MAC}\n',
            self.files({'links': links})['10-vlan7.netdev'],
        )

    def test_bond_of_two_links(self):
        links = [
            {
                'id': 'b',
                'type': 'bond',
                'ethernet_mac_address': MAC,
                'bond_links': ['one', 'two'],
                'bond_mode': '802.3ad',
                'bond_miimon': '100',
            },
            {'id': 'one', 'type': 'phy', 'ethernet_mac_address': MAC},
            {'id': 'two', 'type': 'phy', 'ethernet_mac_address': OTHER_MAC},
        ]
        networks = [{'link': 'b', 'type': 'ipv4_dhcp'}]
        files = self.files({'links': links, 'networks': networks})
        self.assertEqual(
            f'[NetDev]\nName=bond0\nKind=bond\nMACAddress={MAC}\n'
            '[Bond]\nMode=802.3ad\nMIIMonitorSec=100ms\n',
            files['10-bond0.netdev'],
        )
        self.assertEqual(
            '[Match]\nName=bond0\n[Network]\nDHCP=ipv4\n',
            files['10-link0.network'],
        )
        self.assertEqual(
            f'[Match]\nPermanentMACAddress={OTHER_MAC}\nType=ether\n'
            '[Network]\nBond=bond0\n',
            files['10-link2.network'],
        )


class TestConfigure(base.BaseTestCase):
    def test_units_are_enabled_and_point_at_files(self):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (root / 'boot').mkdir()
        os_image.configure(root, UUID)
        units = root / 'etc' / 'systemd' / 'system'
        self.assertEqual(
            '../zsbm-firstboot.service',
            os.readlink(
                units / 'sysinit.target.wants' / 'zsbm-firstboot.service'
            ),
        )
        menu = (root / 'boot' / 'grub' / 'grub.cfg').read_text()
        self.assertIn(f'root=UUID={UUID} ro console=tty0', menu)
        self.assertNotIn('@', menu)
        self.assertTrue(os.access(root / 'usr/lib/zsbm/firstboot', os.X_OK))
        self.assertEqual('', (root / 'etc' / 'machine-id').read_text())
