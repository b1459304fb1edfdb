# SPDX-License-Identifier: Apache-2.0
"""zsbm-netboot with real dnsmasq, nginx and clients on a wire of its own."""

import os

from tests.functional import dhcp_client, netboot_bench
from tests.functional.netboot_case import (
    MAC,
    OTHER,
    SCRIPT,
    STRANGER,
    TestCase,
)
from zsbm_ironic.netboot import arch, desired


class TestAddresses(TestCase):
    def test_a_machine_gets_its_address_from_udhcpc(self):
        mac = self.bench.mac_of(self.bench.machines)
        self.bench.serve(mac, addresses=('198.51.100.77',))
        done = self.bench.inside(
            self.bench.machines,
            *('busybox', 'udhcpc', '-i', 'eth0'),
            *('-n', '-q', '-f', '-s', '/bin/true'),
        )
        self.assertIn('lease of 198.51.100.77 obtained', done.stderr)
        self.assertEqual({'198.51.100.77': mac}, self.bench.status.leases())

    def test_a_stranger_gets_no_answer(self):
        self.bench.serve(MAC)
        self.assertIsNone(self.client(STRANGER).discover())
        self.assertEqual([], self.bench.status.events(STRANGER))

    def test_a_stranger_that_asks_for_an_address_is_not_refused_it(self):
        # Another server's client: a NAK would take its address away.
        self.bench.serve(MAC)
        offer = self.client().discover()
        stranger = self.client(STRANGER)
        self.assertIsNone(stranger.request(offer))

    def test_firmware_ipxe_and_system_get_one_address(self):
        self.bench.serve(MAC, script=SCRIPT)
        for options in (
            dhcp_client.firmware(7),
            dhcp_client.firmware(7, ipxe=True),
            {61: b'\xff\x12\x34\x56\x78\x00\x02\x00\x00'},
            {61: b'\x01' + bytes.fromhex('525400aa0001')},
        ):
            answer = self.client(options=options).lease()
            self.assertEqual('198.51.100.50', answer.offered)

    def test_a_changed_address_is_given_at_once(self):
        self.bench.serve(MAC)
        self.assertEqual('198.51.100.50', self.client().lease().offered)
        self.bench.serve(MAC, addresses=('198.51.100.51',))
        self.assertEqual('198.51.100.51', self.client().lease().offered)

    def test_the_address_of_a_machine_that_is_gone_is_free_at_once(self):
        self.bench.serve(MAC)
        self.assertEqual('198.51.100.50', self.client().lease().offered)
        self.bench.desired.remove(MAC)
        self.bench.serve(OTHER)
        self.assertEqual('198.51.100.50', self.client(OTHER).lease().offered)
        self.assertIsNone(self.client(MAC).discover())

    def test_leases_outlive_the_service(self):
        self.bench.serve(MAC)
        self.client().lease()
        self.assertEqual(0, self.bench.stop())
        self.bench.start()
        self.assertEqual({'198.51.100.50': MAC}, self.bench.status.leases())

    def test_many_changes_while_machines_ask(self):
        self.bench.serve(MAC, script=SCRIPT)
        ipxe = dhcp_client.firmware(7, ipxe=True)
        for number in range(60, 75):
            mac = f'52:54:00:bb:00:{number:02x}'
            self.bench.desired.write(
                desired.Record(
                    mac,
                    netboot_bench.NODE,
                    netboot_bench.PORT,
                    (f'198.51.100.{number}',),
                    script=SCRIPT,
                )
            )
            answer = netboot_bench.wait_for(self.client(MAC, ipxe).lease)
            self.assertEqual('198.51.100.50', answer.offered)
        netboot_bench.wait_for(self.bench.serving)
        self.assertEqual(
            '198.51.100.74', self.client('52:54:00:bb:00:4a').lease().offered
        )


class TestConductorDied(TestCase):
    extra = 'conductor_timeout_s = 4'

    def test_address_is_served_on_and_nothing_to_boot(self):
        ipxe = dhcp_client.firmware(7, ipxe=True)
        self.bench.desired.beat()
        self.bench.serve(MAC, script=SCRIPT)
        self.bench.desired.beat()
        answer = self.client(options=ipxe).lease()
        self.assertEqual(SCRIPT, dhcp_client.bootfile(answer))
        netboot_bench.wait_for(self.complaint)
        answer = self.client(options=ipxe).lease()
        self.assertEqual('198.51.100.50', answer.offered)
        self.assertEqual('', dhcp_client.bootfile(answer))
        # A service that is started anew does not believe the dead either.
        self.bench.stop()
        self.bench.desired.beat()
        self.bench.start()
        answer = self.client(options=ipxe).lease()
        self.assertEqual(SCRIPT, dhcp_client.bootfile(answer))

    def complaint(self):
        beat = self.bench.status.heartbeat()
        return [one for one in beat.problems if 'no sign of life' in one]


class TestLoaders(TestCase):
    extra = 'loaders = ' + ','.join(
        f'{one.name}:/nowhere' for one in arch.ARCHITECTURES
    )

    def test_each_architecture_gets_its_loader_by_tftp(self):
        self.bench.serve(MAC, script=SCRIPT)
        for one in arch.ARCHITECTURES:
            for code in one.tftp_codes:
                options = dhcp_client.firmware(code)
                answer = self.client(options=options).lease()
                self.assertEqual(one.path, dhcp_client.bootfile(answer))
                self.assertEqual(netboot_bench.SERVER, answer.server)

    def test_each_architecture_gets_its_loader_by_http(self):
        self.bench.serve(MAC, script=SCRIPT)
        for one in arch.ARCHITECTURES:
            for code in one.http_codes:
                options = dhcp_client.firmware(code, http=True)
                answer = self.client(options=options).lease()
                self.assertEqual(
                    f'http://198.51.100.1:8080/{one.path}',
                    dhcp_client.bootfile(answer),
                )
                self.assertEqual(b'HTTPClient', answer.options[60])

    def test_ipxe_gets_the_script_whatever_it_runs_on(self):
        self.bench.serve(MAC, script=SCRIPT)
        for code in (0, 7, 11, 27, 39):
            options = dhcp_client.firmware(code, ipxe=True)
            answer = self.client(options=options).lease()
            self.assertEqual(SCRIPT, dhcp_client.bootfile(answer))
            # no-pxedhcp: without it iPXE waits for a second server.
            self.assertEqual(b'\xb0\x01\x01', answer.options[175][:3])

    def test_unknown_firmware_gets_an_address_and_no_loader(self):
        self.bench.serve(MAC, script=SCRIPT)
        answer = self.client(options=dhcp_client.firmware(31)).lease()
        self.assertEqual('', dhcp_client.bootfile(answer))

    def test_a_machine_that_is_not_to_boot_gets_its_address_alone(self):
        self.bench.serve(MAC)
        for options in (
            dhcp_client.firmware(0),
            dhcp_client.firmware(16, http=True),
            dhcp_client.firmware(7, ipxe=True),
        ):
            answer = self.client(options=options).lease()
            self.assertEqual('', dhcp_client.bootfile(answer))

    def test_a_stock_node_gets_what_ironic_chose(self):
        options = (
            desired.Option(67, 'mine.efi', 'not-ipxe'),
            desired.Option(67, 'http://192.0.2.1/mine.ipxe', 'ipxe'),
            desired.Option(66, '192.0.2.1'),
            desired.Option(150, '192.0.2.1'),
            desired.Option(255, '192.0.2.1'),
        )
        self.bench.serve(MAC, options=options)
        answer = self.client(options=dhcp_client.firmware(7)).lease()
        self.assertEqual('mine.efi', dhcp_client.bootfile(answer))
        self.assertEqual('192.0.2.1', answer.server)
        self.assertEqual(b'192.0.2.1', answer.options[66].rstrip(b'\0'))
        answer = self.client(
            options=dhcp_client.firmware(7, ipxe=True)
        ).lease()
        self.assertEqual(
            'http://192.0.2.1/mine.ipxe', dhcp_client.bootfile(answer)
        )


class TestFiles(TestCase):
    def setUp(self):
        super().setUp()
        self.mac = self.bench.mac_of(self.bench.machines)
        self.has(self.bench.machines, '198.51.100.50/24')
        self.bench.serve(self.mac, script=SCRIPT)

    def fetch(self, path):
        return self.bench.inside(
            self.bench.machines,
            *('busybox', 'wget', '-q', '-O', '-'),
            f'http://{netboot_bench.SERVER}:8080/{path}',
        )

    def test_a_loader_is_fetched_by_tftp(self):
        loader = self.bench.root / 'loader'
        loader.write_bytes(os.urandom(100_000))
        arch.place_loaders({'x86-bios': str(loader)}, self.bench.root / 'tftp')
        target = self.bench.root / 'fetched'
        self.bench.inside(
            self.bench.machines,
            *('busybox', 'tftp', '-g', '-l', str(target)),
            *('-r', 'zsbm-loaders/x86-bios.kpxe', netboot_bench.SERVER),
        )
        self.assertEqual(loader.read_bytes(), target.read_bytes())
        names = self.events_after('loader')
        self.assertIn(('tftp', 'loader'), names)

    def test_files_are_fetched_by_http_and_nothing_is_listed(self):
        http = self.bench.root / 'http'
        (http / 'boot.ipxe').write_text('#!ipxe\n')
        self.assertEqual('#!ipxe\n', self.fetch('boot.ipxe').stdout)
        self.assertIn('403', self.fetch('').stderr)
        self.assertIn('404', self.fetch('no_kernel').stderr)
        names = self.events_after('ipxe-script')
        self.assertIn(('http', 'ipxe-script'), names)

    def test_a_link_of_somebody_else_leads_nowhere(self):
        http = self.bench.root / 'http'
        secret = self.bench.root / 'secret'
        secret.write_text('secret')
        os.chown(secret, 64103, 64103)
        (http / 'link').symlink_to(secret)
        self.assertIn('403', self.fetch('link').stderr)
        os.chown(secret, 0, 0)
        self.assertEqual('secret', self.fetch('link').stdout)

    def test_tftp_goes_on_while_records_change(self):
        (self.bench.root / 'tftp' / 'big').write_bytes(bytes(4_000_000))
        pid = self.bench.child_pid('tftp')
        for number in range(60, 63):
            self.bench.serve(
                f'52:54:00:bb:00:{number}',
                addresses=(f'198.51.100.{number}',),
            )
        self.assertEqual(pid, self.bench.child_pid('tftp'))

    def events_after(self, name):
        def found():
            events = self.bench.status.events(self.mac)
            names = [(event.source, event.name) for event in events]
            return names if name in dict(map(reversed, names)) else None

        return netboot_bench.wait_for(found)


class TestRelay(TestCase):
    def test_a_machine_behind_a_relay_gets_an_address_of_its_subnet(self):
        relay = self.bench.namespace(self.bench.machines + '-r')
        far = self.bench.namespace(self.bench.machines + '-f')
        self.bench.plug(relay, 'near')
        self.bench.ip(
            *('-n', relay, 'link', 'add', 'far', 'type', 'veth', 'peer'),
            *('name', 'eth0', 'netns', far),
        )
        for namespace, name, address in (
            (relay, 'near', '198.51.100.2/24'),
            (relay, 'far', '203.0.113.1/24'),
        ):
            self.bench.ip(
                *('-n', namespace, 'addr', 'add', address, 'dev', name)
            )
            self.bench.ip('-n', namespace, 'link', 'set', name, 'up')
        self.bench.ip('-n', far, 'link', 'set', 'eth0', 'up')
        self.bench.ip(
            *('-n', self.bench.server, 'route', 'add', '203.0.113.0/24'),
            *('via', '198.51.100.2'),
        )
        self.bench.run_in(
            relay,
            *('dnsmasq', '--keep-in-foreground', '--conf-file=/dev/null'),
            *('--port=0', '--user=root', '--log-facility=-', '--pid-file='),
            f'--dhcp-relay=203.0.113.1,{netboot_bench.SERVER}',
        )
        mac = self.bench.mac_of(far)
        self.bench.serve(
            mac, addresses=('198.51.100.60', '203.0.113.60'), script=SCRIPT
        )
        options = dhcp_client.firmware(7, ipxe=True)
        answer = netboot_bench.wait_for(
            self.client(mac, options, namespace=far).lease
        )
        self.assertEqual('203.0.113.60', answer.offered)
        self.assertEqual(SCRIPT, dhcp_client.bootfile(answer))
