# SPDX-License-Identifier: Apache-2.0
"""What the tests of zsbm-netboot on a wire of its own have in common."""

from oslotest import base

from tests.functional import dhcp_client, netboot_bench

MAC = '52:54:00:aa:00:01'
OTHER = '52:54:00:aa:00:02'
STRANGER = '52:54:00:ff:00:01'
SCRIPT = 'http://198.51.100.1:8080/boot.ipxe'


class TestCase(base.BaseTestCase):
    extra = ''
    subnets = netboot_bench.SUBNETS

    def setUp(self):
        super().setUp()
        self.bench = self.useFixture(
            netboot_bench.NetbootBench(self.extra, self.subnets)
        )

    def client(self, mac=MAC, options=None, namespace=None):
        one = dhcp_client.Client(
            namespace or self.bench.machines, mac, options
        )
        self.addCleanup(one.close)
        return one

    def has(self, namespace, address):
        self.bench.ip(
            *('-n', namespace, 'addr', 'add', address, 'dev', 'eth0')
        )
