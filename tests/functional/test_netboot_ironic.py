# SPDX-License-Identifier: Apache-2.0
"""A real Ironic tells a real zsbm-netboot what to serve to real clients."""

import contextlib
import os
import signal
import sqlite3
import time

from tests import bmcs
from tests.functional import dhcp_client, ironic_service, netboot_bench

MAC = '52:54:00:aa:00:01'
OTHER = '52:54:00:aa:00:02'
# A fault of netboot has to be in the node's history so soon.
LIMIT_S = 120


class TestCase(ironic_service.TestCase):
    subnets = ('cidr:198.51.100.0/24,range:198.51.100.50-198.51.100.52',)

    @classmethod
    def setUpClass(cls):
        cls.bench = netboot_bench.NetbootBench(subnets=cls.subnets)
        cls.bench.setUp()
        cls.addClassCleanup(cls.bench.cleanUp)
        root = cls.bench.root
        cls.options = {
            'dhcp': {'dhcp_provider': 'zsbm'},
            'deploy': {
                'http_root': f'{root}/http',
                'http_url': f'http://{netboot_bench.SERVER}:8080',
            },
            'inspector': {'power_off': 'false'},
            'pxe': {'tftp_root': f'{root}/tftp'},
            'zsbm_netboot': {
                'desired_dir': f'{root}/desired',
                'status_dir': f'{root}/status',
                'timeline_dir': f'{root}/timeline',
                'listen_address': netboot_bench.SERVER,
                'reconcile_interval_s': '2',
                'service_timeout_s': '5',
                'subnets': cls.subnets[0],
            },
            **cls.more_options(),
        }
        super().setUpClass()

    @classmethod
    def more_options(cls):
        """Return sections that a class adds."""
        return {}

    def setUp(self):
        super().setUp()
        if self.bench.service is None or self.bench.service.poll() is not None:
            self.bench.start()

    def node(self, driver='zsbm', mac=MAC, extra=None, **fields):
        """Return the uuid of a manageable node with one port."""
        bmc = self.useFixture(bmcs.PyghmiBmc())
        info = bmc.driver_info()
        if driver == 'ipmi':
            info = {
                'ipmi_address': info['bmc_address'],
                'ipmi_port': info['bmc_port'],
                'ipmi_username': info['bmc_username'],
                'ipmi_password': info['bmc_password'],
                'ipmi_cipher_suite': '3',
            }
        node = self.enrol(driver, info, **fields)
        self.port(node, mac, extra)
        self.manage(node)
        return node

    def port(self, node, mac=MAC, extra=None):
        return self.api.create_port(
            node_id=node, address=mac, extra=extra or {}
        ).id

    def inspect(self, node):
        self.api.set_node_provision_state(node, 'inspect')
        self.wait_for(node, 'inspect wait')
        self.becomes(self.bench.serving)

    def abort(self, node):
        self.api.set_node_provision_state(node, 'abort')
        deadline = time.monotonic() + 30
        while self.api.get_node(node).provision_state != 'inspect failed':
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)

    def answer(self, mac=MAC, options=None):
        one = dhcp_client.Client(self.bench.machines, mac, options)
        try:
            # As firmware does: the server may just be starting anew.
            return one.lease() or one.lease()
        finally:
            one.close()

    def bootfile(self, mac=MAC, ipxe=False):
        answer = self.answer(mac, dhcp_client.firmware(7, ipxe=ipxe))
        return None if answer is None else dhcp_client.bootfile(answer)

    def becomes(self, condition, timeout_s=20):
        return netboot_bench.wait_for(condition, timeout_s)

    def fetch(self, path):
        return self.bench.inside(
            self.bench.machines,
            *('busybox', 'wget', '-q', '-O', '-'),
            f'http://{netboot_bench.SERVER}:8080/{path}',
        ).stdout


class TestServed(TestCase):
    def test_a_port_gets_an_address_before_anything_boots(self):
        node = self.node()
        answer = self.becomes(lambda: self.answer())
        self.assertIn(
            answer.offered, [f'198.51.100.{last}' for last in (50, 51, 52)]
        )
        self.assertEqual('', self.bootfile())
        self.assertEqual([], self.history(node))

    def test_inspection_boots_and_nothing_boots_after_it(self):
        node = self.node()
        address = self.becomes(lambda: self.answer()).offered
        self.inspect(node)
        self.assertEqual('zsbm-loaders/x86-64-uefi.efi', self.bootfile())
        self.assertEqual(
            'http://198.51.100.1:8080/boot.ipxe', self.bootfile(ipxe=True)
        )
        self.assertEqual(address, self.answer().offered)
        self.bench.ip(
            *('-n', self.bench.machines, 'addr', 'replace'),
            *(f'{address}/24', 'dev', 'eth0'),
        )
        self.assertIn('#!ipxe', self.fetch('boot.ipxe'))
        script = self.fetch(f'pxelinux.cfg/{MAC.replace(":", "-")}')
        self.assertIn(f'{node}/deploy_kernel', script)
        self.abort(node)
        self.becomes(lambda: self.bootfile() == '')
        self.assertEqual(address, self.answer().offered)

    def test_the_timeline_tells_the_boot(self):
        node = self.node(mac=OTHER)
        self.inspect(node)
        self.becomes(lambda: self.answer(OTHER, dhcp_client.firmware(7)))

        def names():
            answer = self.api.get(
                f'/nodes/{node}/vendor_passthru?method=boot_timeline'
            )
            found = [event['name'] for event in answer.json()['events']]
            return found if 'dhcp-ack' in found else None

        found = self.becomes(names)
        order = ['boot-served', 'dhcp-discover', 'dhcp-offer', 'dhcp-ack']
        first = dict.fromkeys(name for name in found if name in order)
        self.assertEqual(order, list(first))
        self.abort(node)

    def test_the_boot_mode_is_learned_unless_somebody_said_it(self):
        for said, code, mode in (
            ('', 0, 'bios'),
            ('', 7, 'uefi'),
            ('boot_mode:uefi', 0, 'uefi'),
        ):
            mac = f'52:54:00:aa:02:0{code + len(said[:1])}'
            node = self.node(mac=mac, properties={'capabilities': said})
            self.inspect(node)
            self.becomes(
                lambda mac=mac, code=code: self.answer(
                    mac, dhcp_client.firmware(code)
                )
            )
            time.sleep(5 if said else 0)
            self.becomes(
                lambda node=node, mode=mode: (
                    f'boot_mode:{mode}'
                    in self.api.get_node(node).properties.get(
                        'capabilities', ''
                    )
                )
            )
            self.abort(node)
            self._delete(node)

    def test_a_stock_node_gets_what_ironic_chose(self):
        node = self.node('ipmi', boot_interface='ipxe')
        self.inspect(node)
        self.assertEqual('snponly.efi', self.bootfile())
        self.assertEqual(
            'http://198.51.100.1:8080/boot.ipxe', self.bootfile(ipxe=True)
        )
        self.abort(node)
        self.becomes(lambda: self.bootfile() == '')

    def test_a_stock_node_that_boots_grub_finds_its_file_by_address(self):
        node = self.node('ipmi', boot_interface='pxe')
        self.inspect(node)
        address = self.answer().offered
        link = self.bench.root / 'tftp' / f'{address}.conf'
        self.assertTrue(link.exists())
        self.abort(node)

    def test_a_deleted_port_and_its_mac_on_another_node(self):
        first = self.node()
        self.inspect(first)
        self.abort(first)
        port = next(self.api.ports(node=first))
        self.becomes(lambda: self.answer())
        self.api.delete_port(port.id)
        self.becomes(lambda: self.answer() is None, 30)
        second = self.node(mac=OTHER)
        self.port(second, MAC)
        self.becomes(lambda: self.answer())
        self.assertEqual('', self.bootfile())
        self.assertEqual(second, self.bench.desired.read(MAC).node)

    def test_a_deleted_node_leaves_nothing(self):
        node = self.node()
        self.becomes(lambda: self.answer())
        self.api.delete_node(node)
        self.becomes(lambda: self.answer() is None, 30)
        self.assertEqual([], list(self.bench.desired.macs()))
        self.becomes(lambda: not self.bench.status.leases())

    def test_a_conductor_that_is_killed_takes_up_where_it_was(self):
        node = self.node()
        self.inspect(node)
        self.ironic.stop(hard=True)
        self.assertEqual('zsbm-loaders/x86-64-uefi.efi', self.bootfile())
        stale = self.bench.desired.read(MAC)
        self.bench.desired.path(MAC).unlink()
        self.ironic.start()
        self.api = self.ironic.client
        answer = self.becomes(lambda: self.answer())
        self.assertEqual(stale.addresses, (answer.offered,))
        self.abort(node)

    def test_a_redfish_node_needs_no_port(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        self.manage(node)
        # They come when it is provided.
        self.assertEqual([], list(self.api.ports(node=node)))
        found = self.api.validate_node(node, required=())
        self.assertTrue(found['inspect'].result, found['inspect'].reason)
        self.assertTrue(found['boot'].result, found['boot'].reason)


class TestFaults(TestCase):
    def test_no_service_is_said_before_power_on_and_by_validate(self):
        node = self.node()
        self.bench.stop()
        time.sleep(6)
        found = self.api.validate_node(node, required=())
        self.assertFalse(found['boot'].result)
        self.assertIn('systemctl start zsbm-netboot', found['boot'].reason)
        self.bench.start()
        self.assertTrue(self.api.validate_node(node, required=())['boot'])
        self.inspect(node)
        self.abort(node)

    def test_a_service_that_is_killed_during_a_boot_is_in_the_history(self):
        node = self.node()
        self.inspect(node)
        self.bench.stop(signal.SIGKILL)
        started = time.monotonic()
        event = self.becomes(
            lambda: [
                event
                for event in self.history(node)
                if 'zsbm-netboot is not running' in event
            ],
            LIMIT_S,
        )[0]
        self.assertLess(time.monotonic() - started, 30)
        self.assertIn(node, event)
        self.bench.start()
        self.assertEqual('zsbm-loaders/x86-64-uefi.efi', self.bootfile())
        self.abort(node)
        self.api.set_node_provision_state(node, 'manage')
        self.wait_for(node, 'manageable')
        self.inspect(node)
        self.abort(node)

    def test_another_dhcp_server_is_in_the_history_by_name(self):
        other = self.bench.namespace(f'{self.bench.machines}-o')
        self.bench.plug(other, 'eth0')
        self.bench.ip(
            *('-n', other, 'addr', 'add', '198.51.100.66/24', 'dev', 'eth0')
        )
        self.bench.run_in(
            other,
            *('dnsmasq', '-k', '-p', '0', '-C', '/dev/null', '-u', 'root'),
            *('-i', 'eth0', '-F', '198.51.100.200,198.51.100.210'),
            *('-l', str(self.bench.root / 'other.leases')),
            '--pid-file=',
        )
        node = self.node()
        self.becomes(lambda: self.bench.status.heartbeat().foreign_servers)
        self.inspect(node)
        events = self.becomes(lambda: self.history(node), LIMIT_S)
        self.assertIn('198.51.100.66', events[0])
        self.assertIn(node, events[0])
        self.abort(node)

    def test_a_range_that_is_used_up_is_named_and_a_free_one_serves(self):
        macs = [f'52:54:00:aa:01:0{number}' for number in range(3)]
        nodes = [self.node(mac=mac) for mac in macs]
        self.becomes(lambda: set(macs) <= set(self.bench.desired.macs()))
        last = self.node(mac=MAC)
        self.api.set_node_provision_state(last, 'inspect')
        found = self.becomes(
            lambda: (
                self.api.get_node(last).provision_state == 'inspect failed'
                and self.api.get_node(last)
            )
        )
        self.assertIn('No address is left', found.last_error)
        self.assertIn(MAC, found.last_error)
        self.assertTrue(
            [one for one in self.history(last) if 'Widen the range' in one]
        )
        self.api.delete_node(nodes[0])
        self.api.set_node_provision_state(last, 'manage')
        self.wait_for(last, 'manageable')
        self.inspect(last)
        self.assertEqual('zsbm-loaders/x86-64-uefi.efi', self.bootfile())
        self.abort(last)

    def test_a_hostile_client_id_is_refused_and_harms_nobody(self):
        text = 'ff:00\ndhcp-option=6,192.0.2.66'
        node = self.node(extra={'client-id': text})
        other = self.node(mac=OTHER)
        self.api.set_node_provision_state(node, 'inspect')
        found = self.becomes(
            lambda: (
                self.api.get_node(node).provision_state == 'inspect failed'
                and self.api.get_node(node)
            )
        )
        self.assertIn('client_id', found.last_error)
        self.assertIn(MAC, found.last_error)
        self.inspect(other)
        self.assertEqual('zsbm-loaders/x86-64-uefi.efi', self.bootfile(OTHER))
        self.becomes(lambda: self.answer(MAC) is None)
        for path in (self.bench.root / 'run').glob('dnsmasq*'):
            self.assertNotIn('192.0.2.66', path.read_text())
        self.abort(other)

    def test_work_that_a_killed_conductor_lost_is_told_once(self):
        node = self.node()
        path = self.ironic.root / 'ironic.sqlite'
        self.ironic.stop(hard=True)
        # As it is when the conductor dies in the middle of a step.
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            database.execute(
                "UPDATE nodes SET provision_state = 'cleaning', "
                "target_provision_state = 'available' WHERE uuid = ?",
                (node,),
            )
            database.commit()
        self.ironic.start()
        self.api = self.ironic.client
        event = self.becomes(
            lambda: [one for one in self.history(node) if 'is lost' in one],
            30,
        )[0]
        for part in (node, 'clean failed', f'node manage {node}, then'):
            self.assertIn(part, event)
        told = len(self.history(node))
        time.sleep(5)
        self.assertEqual(told, len(self.history(node)))
        self.api.set_node_provision_state(node, 'manage')
        self.wait_for(node, 'manageable')

    def test_a_full_disk_is_named(self):
        node = self.node()
        directory = self.bench.root / 'desired'
        os.rename(directory, directory.with_name('gone'))
        self.addCleanup(os.rename, directory.with_name('gone'), directory)
        self.api.set_node_provision_state(node, 'inspect')
        found = self.becomes(
            lambda: (
                self.api.get_node(node).provision_state == 'inspect failed'
                and self.api.get_node(node)
            )
        )
        self.assertIn(str(directory), found.last_error)
