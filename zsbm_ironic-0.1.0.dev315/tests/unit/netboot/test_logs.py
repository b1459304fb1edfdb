# SPDX-License-Identifier: Apache-2.0
from oslotest import base

from zsbm_ironic.netboot import logs

MAC = '52:54:00:aa:00:01'
ADDRESS = '198.51.100.50'


def mac_of(address):
    return MAC if address == ADDRESS else ''


# As dnsmasq 2.90 prints them.
BOOT = f"""\
dnsmasq-dhcp[7]: 3911787706 available DHCP subnet: 198.51.100.0/255.255.255.0
dnsmasq-dhcp[7]: 3911787706 vendor class: PXEClient:Arch:00007:UNDI:003016
dnsmasq-dhcp[7]: 3911787706 DHCPDISCOVER(br0) {MAC} 
dnsmasq-dhcp[7]: 3911787706 tags: arch-x86-64-uefi, mac525400aa0001, known, br0
dnsmasq-dhcp[7]: 3911787706 DHCPOFFER(br0) {ADDRESS} {MAC} 
dnsmasq-dhcp[7]: 3911787706 requested options: 1:netmask, 3:router
dnsmasq-dhcp[7]: 3911787706 DHCPREQUEST(br0) {ADDRESS} {MAC} 
dnsmasq-dhcp[7]: 3911787706 tags: ipxe, arch-x86-64-uefi, known, br0
dnsmasq-dhcp[7]: 3911787706 DHCPACK(br0) {ADDRESS} {MAC} 
dnsmasq-tftp[8]: sent /srv/tftp/zsbm-loaders/x86-64-uefi.efi to {ADDRESS}
dnsmasq-tftp[8]: file /srv/tftp/grub.cfg not found for {ADDRESS}
dnsmasq-tftp[8]: failed sending /srv/tftp/snponly.efi to {ADDRESS}
"""


class TestDnsmasqLog(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.log = logs.DnsmasqLog(mac_of)

    def read(self, line):
        return self.log.read(line, 1.0)

    def test_a_boot(self):
        events = [self.read(line) for line in BOOT.splitlines()]
        told = [
            (event.source, event.name, event.detail)
            for event in events
            if event
        ]
        self.assertEqual(
            [
                ('dhcp', 'dhcp-discover', ''),
                ('dhcp', 'dhcp-client', 'x86-64-uefi'),
                ('dhcp', 'dhcp-offer', ADDRESS),
                ('dhcp', 'dhcp-request', ADDRESS),
                ('dhcp', 'dhcp-client', 'ipxe x86-64-uefi'),
                ('dhcp', 'dhcp-ack', ADDRESS),
            ],
            told[:6],
        )
        self.assertEqual(
            ['loader', 'boot-config-failed', 'loader-failed'],
            [name for _source, name, _detail in told[6:]],
        )
        self.assertEqual({MAC}, {event.mac for event in events if event})

    def test_refusals_have_names(self):
        for rest, name in (
            ('ignored', 'dhcp-ignored'),
            ('no address available', 'dhcp-no-address'),
        ):
            line = f'dnsmasq-dhcp[7]: 12 DHCPDISCOVER(br0) {MAC} {rest}'
            self.assertEqual(name, self.read(line).name)
        nak = f'dnsmasq-dhcp[7]: 12 DHCPNAK(br0) {ADDRESS} {MAC} wrong network'
        self.assertEqual('dhcp-nak', self.read(nak).name)

    def test_strangers_do_not_fill_the_memory(self):
        for number in range(3 * logs.MAX_TRANSACTIONS):
            self.read(f'dnsmasq-dhcp[7]: {number} DHCPDISCOVER(br0) {MAC} ')
        self.assertLessEqual(len(self.log._tags), logs.MAX_TRANSACTIONS)

    def test_other_lines_tell_nothing(self):
        for line in ('', 'dnsmasq[7]: started, version 2.90', '\xff{}'):
            self.assertIsNone(self.read(line))


class TestNginx(base.BaseTestCase):
    def event(self, uri, status='200'):
        line = (
            f'{{"address":"{ADDRESS}","method":"GET","uri":"{uri}",'
            f'"status":"{status}","bytes":"7","seconds":"0.001","agent":"x"}}'
        )
        return logs.nginx_event(line, 1.0, mac_of)

    def test_names_of_files(self):
        node = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0001'
        for uri, name in (
            ('/zsbm-loaders/x86-64-uefi.efi', 'loader'),
            ('/boot.ipxe', 'ipxe-script'),
            ('/pxelinux.cfg/52-54-00-aa-00-01', 'boot-config'),
            (f'/{node}/deploy_kernel', 'kernel'),
            (f'/{node}/deploy_ramdisk', 'ramdisk'),
            (f'/agent_images/{node}', 'image'),
            ('/other', 'file'),
        ):
            event = self.event(uri)
            self.assertEqual((name, MAC), (event.name, event.mac))

    def test_a_file_that_is_not_there_has_failed(self):
        self.assertEqual('kernel-failed', self.event('/kernel', '404').name)

    def test_lines_that_are_no_access_tell_nothing(self):
        for line in ('', '2026/01/01 [warn] x', '[]', '{"uri":"/"}', '1'):
            self.assertIsNone(logs.nginx_event(line, 1.0, mac_of))
