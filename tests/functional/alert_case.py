# SPDX-License-Identifier: Apache-2.0
"""A conductor whose servers are watched, and an Alertmanager that tells.

Base of tests that follow a fault to the mail that somebody gets.
"""

import time

from tests import bmcs
from tests.functional import ironic_service, mail_sink, watch

INTERVAL_S = 10
SETTLE_S = 30
WAIT_S = 480
OWNER, LESSEE = 'racks', 'shop'
CONTACTS = """
[smtp]
smarthost = "{smarthost}"
from = "baremetal@example.org"

[admin]
email = ["ops@example.org"]

[project.racks]
email = ["racks@example.org"]

[project.shop]
email = ["shop@example.org"]
"""
RACKS, SHOP, OPS = (f'{name}@example.org' for name in ('racks', 'shop', 'ops'))


class AlertCase(ironic_service.TestCase):
    """A conductor that is scraped, and somebody to tell of it."""

    settings: dict[str, str] = {}

    @classmethod
    def setUpClass(cls):
        cls.listen = f'{bmcs.ADDRESS}:{bmcs.free_port()}'
        cls.sink = cls.shared(mail_sink.MailSink())
        cls.alertmanager = cls.shared(
            watch.Alertmanager(
                CONTACTS.format(smarthost=cls.sink.address),
                cls.sink.certificate,
            )
        )
        cls.options = {
            'zsbm_bmc': {'power_poll_s': '0'},
            'zsbm_monitoring': {
                'enabled': 'true',
                'interval_s': str(INTERVAL_S),
                'listen': cls.listen,
                'alertmanager_url': cls.alertmanager.url,
                'alertmanager_settle_s': str(SETTLE_S),
                **cls.settings,
            },
        }
        super().setUpClass()

    @classmethod
    def shared(cls, fixture):
        fixture.setUp()
        cls.addClassCleanup(fixture.cleanUp)
        return fixture

    def watch(self, **changes):
        job = {
            'job_name': 'baremetal',
            'static_configs': [{'targets': [self.listen]}],
        }
        return self.useFixture(
            watch.Prometheus([job], self.alertmanager, changes)
        )

    def managed(self, name, bmc):
        node = self.enrol('zsbm', bmc.driver_info(), name=name)
        self.api.update_node(node, owner=OWNER, lessee=LESSEE)
        self.manage(node)
        return node

    def until(self, found, expected):
        """Wait until a function returns what is expected."""
        deadline = time.monotonic() + WAIT_S
        while (last := found()) != expected:
            if time.monotonic() > deadline:
                self.assertEqual(expected, last)
            time.sleep(0.5)

    def until_maintained(self, prometheus, *names):
        """Wait until Prometheus knows who is in maintenance, and no other."""

        def found():
            told = prometheus.ask('baremetal_maintenance')
            return {name for (name, _), value in told.items() if value}

        self.until(found, set(names))

    def mails(self):
        return sorted(self.sink.mails)

    def alerts(self, node):
        """Return (alert, whether it is over) of a node's history."""
        answer = self.api.get(
            f'/nodes/{node}/history?detail=true', microversion='1.78'
        )
        return [
            (words[1], 'is over' in one['event'])
            for one in answer.json()['history']
            if one['event_type'] == 'monitoring'
            for words in [one['event'].split()]
        ]
