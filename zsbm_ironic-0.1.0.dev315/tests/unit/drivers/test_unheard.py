# SPDX-License-Identifier: Apache-2.0
"""When the switch of a server that is waited for is asked."""

import datetime

from oslotest import base

from zsbm_ironic.drivers import boot_watch, unheard

SINCE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
BEGAN = SINCE.timestamp()
LATER = BEGAN + unheard.QUIET_S + 1


class DueTest(base.BaseTestCase):
    def due(self, info=None, heard=(), now=LATER, since=SINCE):
        return unheard.is_due(info or {}, since, heard, now)

    def test_a_server_that_is_not_heard_for_long(self):
        self.assertTrue(self.due())
        self.assertTrue(self.due(heard=[BEGAN - 100]))

    def test_not_yet(self):
        self.assertFalse(self.due(now=BEGAN + unheard.QUIET_S))

    def test_one_that_was_heard(self):
        self.assertFalse(self.due(heard=[BEGAN + 10]))

    def test_its_agent_is_up(self):
        self.assertFalse(self.due({'agent_url': 'https://198.51.100.7'}))

    def test_each_wait_is_looked_at_once(self):
        self.assertFalse(self.due({unheard.LOOKED: str(SINCE)}))
        self.assertTrue(self.due({unheard.LOOKED: 'an earlier one'}))

    def test_one_that_never_changed_its_state(self):
        self.assertFalse(self.due(since=None))

    def test_every_wait_has_its_end(self):
        self.assertEqual(set(boot_watch.WAITING), set(unheard.ENDS))
