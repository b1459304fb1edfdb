# SPDX-License-Identifier: Apache-2.0
"""When the switch of a server that is waited for is asked."""

import contextlib
import datetime
import time
import types

import fixtures
from ironic.common import exception as ironic_exception
from ironic.common import states
from oslotest import base

from zsbm_ironic import conf
from zsbm_ironic.drivers import boot_watch, unheard
from zsbm_ironic.network import checked, exception

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
        self.assertFalse(self.due({unheard.LOOKED: BEGAN}))
        self.assertTrue(self.due({unheard.LOOKED: BEGAN - 600}))

    def test_the_database_says_no_zone(self):
        naive = SINCE.replace(tzinfo=None)
        self.useFixture(fixtures.EnvironmentVariable('TZ', 'Asia/Shanghai'))
        self.addCleanup(time.tzset)
        time.tzset()
        self.assertTrue(self.due(since=naive))
        self.assertFalse(self.due(since=naive, now=BEGAN + unheard.QUIET_S))
        self.assertFalse(self.due({unheard.LOOKED: BEGAN}, since=naive))

    def test_one_that_never_changed_its_state(self):
        self.assertFalse(self.due(since=None))

    def test_every_wait_has_its_end(self):
        self.assertEqual(set(boot_watch.WAITING), set(unheard.ENDS))


class Silent(checked.Checked):
    """A network interface whose switch cannot be asked."""

    def __init__(self, error):
        self._error = error

    def why_silent(self, _task, _purpose):
        raise self._error


class Node:
    def __init__(self, uuid):
        self.uuid = uuid
        self.name = None
        self.provision_state = states.DEPLOYWAIT
        self.provision_updated_at = SINCE
        self.driver_internal_info = {}

    def set_driver_internal_info(self, key, value):
        self.driver_internal_info = {**self.driver_internal_info, key: value}

    def save(self):
        pass

    def row(self):
        """Return it as the database has it."""
        return types.SimpleNamespace(
            uuid=self.uuid,
            driver_internal_info=dict(self.driver_internal_info),
            provision_updated_at=SINCE.replace(tzinfo=None),
        )


def task(node, error):
    return types.SimpleNamespace(
        node=node, driver=types.SimpleNamespace(network=Silent(error))
    )


class Watch(boot_watch.BootWatch):
    """A look at some nodes; nobody else has them locked."""

    def __init__(self, nodes):
        super().__init__(None, None)
        self._nodes = {node.uuid: node for node in nodes}
        self.asked = []

    @contextlib.contextmanager
    def _locked(self, node, _purpose):
        self.asked.append(node)
        yield task(self._nodes[node], exception.PortNotWired())

    def once(self):
        self._look_for([node.row() for node in self._nodes.values()], {})


class LookTest(base.BaseTestCase):
    def test_each_of_several_silent_ones_has_its_turn_once(self):
        folder = self.useFixture(fixtures.TempDir()).path
        for group, option, value in (
            ('zsbm_network', 'switch_settings', ['x.ini']),
            ('zsbm_netboot', 'status_dir', folder),
        ):
            conf.CONF.set_override(option, value, group)
            self.addCleanup(conf.CONF.clear_override, option, group)
        watch = Watch([Node('one'), Node('other')])
        for _ in range(4):
            watch.once()
        self.assertEqual(['one', 'other'], watch.asked)

    def test_whoever_cannot_tell_stops_nothing(self):
        for error in (
            exception.PortNotWired(),
            ironic_exception.NetworkError('Neutron is away'),
        ):
            node = Node('one')
            unheard.look(task(node, error))
            self.assertEqual(BEGAN, node.driver_internal_info[unheard.LOOKED])
