# SPDX-License-Identifier: Apache-2.0
"""Which systems are listed, and at which addresses they may be."""

import http.client
import ipaddress
import json

import testtools

from zsbm_ironic.monitoring import (
    collector,
    discovery,
    exporter,
    push,
    readings,
)
from zsbm_ironic.monitoring.discovery import Claim

NETWORKS = (
    ipaddress.ip_network('10.1.0.0/16'),
    ipaddress.ip_network('2001:db8::/64'),
    # What nobody should name, and somebody will.
    ipaddress.ip_network('0.0.0.0/0'),
)
NARROW = NETWORKS[:2]


class AddressesTest(testtools.TestCase):
    def settled(self, *claims, networks=NARROW):
        found, self.told = discovery.settle(claims, networks)
        return found

    def test_leased_ones_need_no_network(self):
        self.assertEqual(
            {'a': '192.0.2.7'},
            self.settled(
                Claim('a', '192.0.2.7', leased=True),
                Claim('b', '192.0.2.8'),
                Claim('c', '192.0.2.9', written=True),
            ),
        )
        self.assertEqual(1, len(self.told))
        self.assertIn('Node c', self.told[0])

    def test_never_this_host_or_its_link(self):
        for address in (
            '127.0.0.1',
            '169.254.169.254',
            '0.0.0.0',  # noqa: S104
            '224.0.0.1',
            '::1',
            '::ffff:10.1.0.1',
            'fe80::1%eth0',
            'metadata.example.org',
            '10.1.0.1:22',
            '10.1.0.1/admin?x=',
            '',
            '010.1.0.1',
        ):
            for kind in ({'written': True}, {'leased': True}, {}):
                self.assertEqual(
                    {},
                    self.settled(
                        Claim('a', address, **kind), networks=NETWORKS
                    ),
                    address,
                )

    def test_a_lab_on_this_host(self):
        lab = ipaddress.ip_network('127.77.0.0/16')
        self.assertEqual(
            {'a': '127.77.0.1'},
            self.settled(
                Claim('a', '127.77.0.1', written=True),
                Claim('b', '127.0.0.1', written=True),
                networks=(lab, *NETWORKS),
            ),
        )

    def test_what_a_person_wrote_comes_first(self):
        self.assertEqual(
            {'a': '10.1.0.9', 'b': '10.1.0.2'},
            self.settled(
                Claim('a', '10.1.0.1'),
                Claim('a', '10.1.0.9', written=True),
                Claim('b', '2001:db8::1'),
                Claim('b', '10.1.0.3'),
                Claim('b', '10.1.0.2'),
            ),
        )
        self.assertEqual([], self.told)

    def test_the_address_of_another_server_is_not_to_be_had(self):
        self.assertEqual(
            {'victim': '10.1.0.1', 'thief': '10.1.0.5'},
            self.settled(
                Claim('victim', '10.1.0.1'),
                Claim('thief', '10.1.0.1', written=True),
                Claim('thief', '10.1.0.5'),
            ),
        )
        self.assertIn('is that of victim too', self.told[0])

    def test_one_that_two_have_is_of_neither(self):
        for kind in ({'written': True}, {}):
            self.assertEqual(
                {},
                self.settled(
                    Claim('a', '10.1.0.1', **kind),
                    Claim('b', '10.1.0.1', **kind),
                ),
            )
            self.assertEqual(2, len(self.told))

    def test_two_ports_of_one_server_with_one_address(self):
        self.assertEqual(
            {'a': '10.1.0.1'},
            self.settled(Claim('a', '10.1.0.1'), Claim('a', '10.1.0.1')),
        )


class HttpTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.directory, receiver = discovery.Directory(), push.Receiver()
        self.server = exporter.Exporter(
            '127.0.0.1:0',
            collector.ReadingsCollector(readings.Board(), receiver, dict),
            self.directory,
            receiver,
        )
        self.addCleanup(self.server.close)

    def get(self, path, method='GET', **headers):
        connection = http.client.HTTPConnection(
            '127.0.0.1', self.server.port, timeout=10
        )
        self.addCleanup(connection.close)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read()

    def test_prometheus_keeps_its_targets_until_they_are_known(self):
        self.assertEqual(503, self.get('/sd')[0].status)
        self.directory.replace([])
        answer, body = self.get('/sd')
        self.assertEqual((200, b'[]'), (answer.status, body))
        self.assertEqual('application/json', answer.headers['Content-Type'])

    def test_groups(self):
        self.directory.replace(
            [
                discovery.System(
                    'u1', 'web-1', 'racks', 'shop', 'R"7', '10.1.0.5:9100'
                ),
                discovery.System('u2', 'web-2', 'racks'),
            ]
        )
        _answer, body = self.get('/sd', Host='watch.example.org:9609')
        self.assertEqual(
            [
                {
                    'targets': ['10.1.0.5:9100'],
                    'labels': {
                        'instance': '10.1.0.5:9100',
                        'node_uuid': 'u1',
                        'node_name': 'web-1',
                        'owner': 'racks',
                        'project': 'shop',
                        'rack': 'R"7',
                    },
                },
                {
                    'targets': ['watch.example.org:9609'],
                    'labels': {
                        '__metrics_path__': '/pushed/u2',
                        'instance': 'u2',
                        'node_uuid': 'u2',
                        'node_name': 'web-2',
                        'owner': 'racks',
                        'project': 'racks',
                        'rack': '',
                    },
                },
            ],
            json.loads(body),
        )

    def test_nothing_else_is_answered(self):
        self.directory.replace([])
        for path in ('/', '/metrics/x', '/pushed/', '/pushed/nobody', '/SD'):
            self.assertEqual(404, self.get(path)[0].status, path)
        self.assertEqual(405, self.get('/metrics', 'POST')[0].status)
        for host in ('a b', 'evil.example/x', 'a@b', '[::1'):
            self.assertEqual(400, self.get('/sd', Host=host)[0].status, host)
