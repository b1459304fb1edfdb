# SPDX-License-Identifier: Apache-2.0
"""Faults of the wire, the management node and its conductor, on machines.

Each is told in node history, by name and with the remedy, within its limit;
the next try succeeds and nothing stays behind. What needs no machine to be
seen is in tests/functional; doc/source/reference/reliability.rst has it all.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil

from tests.e2e import base, fault_case
from zsbm_ironic.common import process
from zsbm_ironic.lab import faults, layout
from zsbm_ironic.netboot import desired

FULL_RANGE = 50
IMAGE_S = 120
BOOT_S = 300
PROVIDE = {'target': 'provide'}


class NetbootFaultsTest(fault_case.FaultTest):
    """What goes wrong between power-on and the ramdisk."""

    def test_second_dhcp_server(self):
        server = self.managed('metal-bios')
        self.fault('rogue-dhcp')
        server.baremetal('node', 'inspect', server.machine.name)
        self.told(
            server,
            'Another DHCP server',
            faults.ROGUE_ADDRESS,
            'Switch it off',
            within_s=fault_case.NETBOOT_S,
        )
        self.until(lambda: self.provision_state(server) == 'inspect wait', 60)
        self.gives_up(server)
        self.fault('clear')
        server.provision('inspect')
        self.assert_nothing_left(server)

    def test_netboot_killed_during_pxe(self):
        server = self.managed('metal-bios')
        self.starts(server, 'inspect', 'inspect wait')
        self.fault('netboot-kill')
        self.told(
            server,
            'zsbm-netboot is not running',
            'systemctl start zsbm-netboot',
            within_s=fault_case.NETBOOT_S,
        )
        self.gives_up(server)
        self.assertEqual(0, self.listeners(layout.HTTP_PORT))
        # Before anybody mends it, another try ends at once and says why.
        done = server.baremetal(
            *('node', 'inspect', server.machine.name, '--wait'), check=False
        )
        self.assertNotEqual(0, done.returncode)
        self.assertIn('systemctl start zsbm-netboot', done.stderr)
        self.fault('clear')
        if self.provision_state(server) == 'inspect failed':
            server.provision('manage')
        self.boots_again(server)
        self.assert_nothing_left(server)

    def test_dhcp_range_used_up(self):
        server = self.server('metal-bios')
        self.remove(server)
        filler = self.fill_range(server)
        server = self.managed('metal-bios')
        self.fault('clear')
        done = server.baremetal(
            *('node', 'inspect', server.machine.name, '--wait'), check=False
        )
        self.assertNotEqual(0, done.returncode)
        self.told(
            server,
            'No address is left',
            server.machine.nics[0].mac,
            'Widen the range',
            within_s=fault_case.NETBOOT_S,
        )
        server.baremetal('node', 'delete', filler)
        server.provision('manage')
        self.boots_again(server)
        self.assert_nothing_left(server)

    def fill_range(self, server):
        """Create a node whose ports take every address that is left."""
        name = 'filler'
        self.remove(server, name)
        node = server.enrolment() | {
            'name': name,
            'ports': [
                {'address': f'52:54:00:5b:00:{number:02x}'}
                for number in range(FULL_RANGE)
            ],
        }
        self.create(server, node)
        self.addCleanup(self.remove, server, name)
        self.until(
            lambda: len(self.addresses()) == FULL_RANGE,
            120,
            'the range is not full',
        )
        return name

    def addresses(self):
        """Return every address of the range that a port has, whosever.

        A port has one of each subnet, and only this one is small.
        """
        network = layout.DHCP_RANGE[0].rpartition('.')[0]
        root = self.lab.folders.conductor(1) / 'netboot' / 'desired'
        records, _ = desired.DesiredState(root).load()
        return {
            address
            for record in records.values()
            for address in record.addresses
            if address.startswith(f'{network}.')
        }

    def test_port_deleted_and_mac_reused(self):
        server = self.managed('metal-bios')
        mac = server.machine.nics[0].mac
        self.starts(server, 'inspect', 'inspect wait')
        self.until(lambda: self.leases(server), fault_case.NETBOOT_S, 'lease')
        self.gives_up(server)
        self.bmc(server).power('off')
        server.baremetal('port', 'delete', self.port(server))
        self.fault('clear')
        self.until(lambda: not self.record(server), 60, 'a record stays')
        self.until(lambda: not self.leases(server), 60, 'a lease stays')
        heir = self.heir(server)
        server.baremetal('node', 'inspect', heir, '--wait')
        uuid = self.api('GET', f'nodes/{heir}')[1]['uuid']
        self.assertEqual(uuid, self.record(server).node)
        (port,) = self.api('GET', f'ports?address={mac}&fields=node_uuid')[1][
            'ports'
        ]
        self.assertEqual(uuid, port['node_uuid'])
        self.remove(server, heir)
        self.assert_nothing_left(server)

    def port(self, server):
        """Return the UUID of the only port."""
        path = f'ports?node={server.machine.name}'
        (port,) = self.api('GET', path)[1]['ports']
        return port['uuid']

    def heir(self, server):
        """Manage another node, whose machine has the same MAC now."""
        name = 'heir'
        self.remove(server, name)
        self.create(server, server.enrolment() | {'name': name})
        self.addCleanup(self.remove, server, name)
        server.baremetal('node', 'manage', name, '--wait')
        return name

    def test_hostile_strings(self):
        server = self.managed('metal-bios')
        name, mac = server.machine.name, server.machine.nics[0].mac
        port = self.port(server)
        hostile = 'ff:00\ndhcp-option=6,192.0.2.66'
        server.baremetal(
            'port', 'set', port, '--extra', f'client-id={hostile}'
        )
        self.fault('clear')
        done = server.baremetal('node', 'inspect', name, '--wait', check=False)
        self.assertNotEqual(0, done.returncode)
        self.told(
            server, 'client-id', mac, 'hexadecimal', within_s=fault_case.BMC_S
        )
        run = self.lab.folders.conductor(1) / 'netboot' / 'run'
        for path in run.glob('dnsmasq*'):
            self.assertNotIn('192.0.2.66', path.read_text(), path)
        server.baremetal('port', 'unset', port, '--extra', 'client-id')
        self.check_hostile_address(server)
        server.provision('manage')
        self.boots_again(server)
        self.assert_nothing_left(server)

    def check_hostile_address(self, server):
        """Give driver_info what a shell or a parser would run or read."""
        name = server.machine.name
        address = server.machine.bmc_address
        for hostile in (
            f'{address};touch /tmp/zsbm-hostile',
            f'{address}\n-o StrictHostKeyChecking=no',
            '$(touch /tmp/zsbm-hostile)',
        ):
            server.baremetal(
                'node', 'set', name, '--driver-info', f'bmc_address={hostile}'
            )
            done = server.baremetal('node', 'validate', name, '-f', 'json')
            (power,) = [
                row
                for row in json.loads(done.stdout)
                if row['Interface'] == 'power'
            ]
            self.assertFalse(power['Result'])
            self.assertIn('bmc_address', power['Reason'])
            self.assertIn(name, power['Reason'])
        self.assertFalse(pathlib.Path('/tmp/zsbm-hostile').exists())
        server.baremetal(
            'node', 'set', name, '--driver-info', f'bmc_address={address}'
        )


class ManagementCase(fault_case.FaultTest):
    """A server that gets an image while something is wrong."""

    def writes_image(self, server):
        """Wait until the ramdisk is up and the image is written."""
        self.until(
            lambda: 'write_image' in str(self.field(server, 'deploy_step')),
            BOOT_S,
            'no write_image',
        )

    def available(self, name):
        """Return a server that can be deployed, cleaned or not."""
        server = self.managed(name)
        server.baremetal('node', 'set', name, '--no-automated-clean')
        server.provision('provide')
        return server


class ManagementNodeFaultsTest(ManagementCase):
    """What goes wrong with the conductor and the images."""

    def test_disk_full(self):
        server = self.managed('metal-bios')
        self.fault('disk-full')
        done = server.baremetal(
            *('node', 'inspect', server.machine.name, '--wait'), check=False
        )
        self.assertNotEqual(0, done.returncode)
        self.told(
            server,
            'the disk of conductor conductor-1 is full',
            'Make room',
            within_s=fault_case.NETBOOT_S,
        )
        self.fault('clear')
        server.provision('manage')
        self.boots_again(server)
        self.assert_nothing_left(server)

    def test_conductor_killed_in_clean(self):
        server = self.managed('metal-bios')
        self.starts(server, 'provide', 'clean wait')
        self.until(lambda: self.leases(server), fault_case.NETBOOT_S, 'lease')
        self.fault('conductor-kill')
        self.fault('clear')
        self.leaves(server, 'cleaning', 'clean wait')
        self.assertEqual('available', self.provision_state(server))
        self.assertIsNone(self.field(server, 'reservation'))
        self.assert_nothing_left(server)

    def test_conductor_killed_at_work_in_clean(self):
        """It held the node: that try is lost, and the next one is not."""
        server = self.managed('metal-bios')
        name = server.machine.name
        self.api('PUT', f'nodes/{name}/states/provision', PROVIDE)
        while self.provision_state(server) != 'cleaning':
            self.assertEqual('manageable', self.provision_state(server))
        # Not by the command: the state is over when that has started.
        faults.inject(self.lab, 'conductor-kill', None, None)
        self.fault('clear')
        self.told(
            server,
            'That try is lost',
            f'openstack baremetal node manage {name}',
            within_s=fault_case.NETBOOT_S,
        )
        self.assertEqual('clean failed', self.provision_state(server))
        self.assertIsNone(self.field(server, 'reservation'))
        server.provision('manage')
        server.provision('provide')
        self.assert_nothing_left(server)

    def test_conductor_killed_in_deploy(self):
        server = self.available('metal-bios')
        server.describe_instance(self.image())
        server.forget_host_key()
        drive = json.dumps(server.config_drive())
        name = server.machine.name
        server.baremetal('node', 'deploy', name, '--config-drive', drive)
        self.writes_image(server)
        self.until(
            lambda: self.provision_state(server) == 'wait call-back',
            120,
            'wait',
        )
        self.fault('conductor-kill')
        self.fault('clear')
        self.leaves(server, 'deploying', 'wait call-back')
        self.assertEqual('active', self.provision_state(server))
        self.assertIn(name, server.ssh('hostname'))
        self.assert_nothing_left(server)

    def test_image_missing_or_wrong(self):
        server = self.available('metal-bios')
        image = self.image()
        name = server.machine.name
        server.describe_instance(image)
        for field, value, parts in (
            ('image_source', f'file://{image.path}.no', ('image_source',)),
            ('image_checksum', '0' * 64, ('image_checksum',)),
        ):
            server.describe_instance(image)
            server.baremetal(
                'node', 'set', name, '--instance-info', f'{field}={value}'
            )
            self.note(server)
            self.fault('clear')
            done = server.baremetal(
                'node', 'deploy', name, '--wait', check=False
            )
            self.assertNotEqual(0, done.returncode)
            self.told(server, *parts, within_s=IMAGE_S)
            self.assertEqual('off', self.bmc(server).status()['power'])
        server.describe_instance(image)
        self.starts(server, 'deploy', 'wait call-back')
        self.writes_image(server)
        self.assert_nothing_left(server)


class SmallDiskTest(ManagementCase):
    plan = base.SPECIAL

    def test_disk_too_small(self):
        server = self.available('small-disk')
        large = self.larger_image()
        server.describe_instance(large)
        self.note(server)
        name = server.machine.name
        server.baremetal('node', 'deploy', name)
        self.writes_image(server)
        self.fault('clear')
        self.told(server, 'larger disk', 'root_device', within_s=IMAGE_S)
        self.assertEqual('deploy failed', self.provision_state(server))
        self.bmc(server).power('off')
        server.describe_instance(self.image())
        server.deploy()
        self.assertIn(name, server.ssh('hostname'))
        self.assert_nothing_left(server)

    def larger_image(self):
        """Return the test image for a disk of 6 GiB."""
        image = self.image()
        path = image.path.with_name('larger-for-test.qcow2')
        self.addCleanup(path.unlink, missing_ok=True)
        shutil.copy(image.path, path)
        process.run(['qemu-img', 'resize', '-q', path, '6G'], timeout_s=60)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return dataclasses.replace(image, path=path, sha256=digest)
