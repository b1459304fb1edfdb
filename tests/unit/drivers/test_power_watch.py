# SPDX-License-Identifier: Apache-2.0
"""Which answers make the conductor look at a node."""

import datetime
import types

import fixtures
from ironic.common import states
from oslo_utils import timeutils
from oslotest import base as test_base

from zsbm_ironic.bmc import base
from zsbm_ironic.drivers import metrics, power_watch

On, Off = base.PowerState.ON, base.PowerState.OFF


def node(uuid, updated_at=None):
    return power_watch._Node(
        uuid, 'zsbm', '', updated_at, 'zsbm', states.POWER_OFF, 'active'
    )


class TakeTest(test_base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.synced = []
        self.useFixture(
            fixtures.MonkeyPatch(
                f'{power_watch.__name__}._sync',
                lambda manager, context, uuid: self.synced.append(uuid),
            )
        )
        self.useFixture(
            fixtures.MonkeyPatch(f'{power_watch.__name__}.AGAIN_S', 0.0)
        )
        self.watch = power_watch.PowerWatchMixin()
        self.watch._nodes = {uuid: node(uuid) for uuid in ('a', 'b')}

    def take(self, *answers):
        return self.watch._take(None, None, answers)

    def test_what_is_as_ironic_believes(self):
        self.assertEqual(set(), self.take(('a', Off), ('gone', On)))
        self.assertEqual([], self.synced)

    def test_twice(self):
        self.assertEqual({'a'}, self.take(('a', On)))
        self.assertEqual([], self.synced)
        self.assertEqual(set(), self.take(('a', On)))
        self.assertEqual(['a'], self.synced)

    def test_a_reset_in_between(self):
        self.take(('a', On))
        self.take(('a', Off))
        self.assertEqual({'a'}, self.take(('a', On)))
        self.assertEqual([], self.synced)

    def test_an_answer_that_comes_turns_later(self):
        """Its second question is answered when others are asked theirs."""
        self.take(('a', On))
        self.assertEqual({'b'}, self.take(('b', On)))
        self.take(('a', On), ('b', Off))
        self.assertEqual(['a'], self.synced)

    def test_too_soon_to_tell(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{power_watch.__name__}.AGAIN_S', 60.0)
        )
        self.take(('a', On))
        self.take(('a', On))
        self.assertEqual([], self.synced)


class Manager:
    """Has nodes with BMCs; counts those that are read."""

    def __init__(self, *uuids):
        self.info = {
            uuid: {
                'bmc_address': '192.0.2.1',
                'bmc_username': 'u',
                'bmc_password': 'p',
                'bmc_protocol': 'ipmi',
            }
            for uuid in uuids
        }
        self.read = []

    def iter_nodes(self, fields, filters):
        for uuid in filters['uuid_in']:
            self.read.append(uuid)
            if uuid in self.info:
                yield uuid, 'zsbm', '', self.info[uuid], {}


class FindTest(test_base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.manager = Manager('a', 'b')
        self.watch = power_watch.PowerWatchMixin()
        self.nodes(a=3600, b=3600)

    def nodes(self, **ages):
        self.watch._nodes = {
            uuid: node(
                uuid,
                timeutils.utcnow() - datetime.timedelta(seconds=age),
            )
            for uuid, age in ages.items()
        }

    def find(self):
        self.manager.read.clear()
        self.watch._find_bmcs(self.manager)
        return sorted(self.manager.read)

    def test_what_stays_as_it_is_is_read_once(self):
        self.assertEqual(['a', 'b'], self.find())
        self.assertEqual({'a', 'b'}, self.watch._bmcs.keys())
        self.assertEqual([], self.find())

    def test_what_has_changed_is_read_again(self):
        self.find()
        self.manager.info['a']['bmc_address'] = '192.0.2.2'
        self.nodes(a=5, b=3600)
        # Another change in the same second has the same time.
        for _ in range(2):
            self.assertEqual(['a'], self.find())
        self.assertEqual('192.0.2.2', self.watch._bmcs['a'].address)

    def test_a_node_that_was_never_changed(self):
        self.watch._nodes = {'a': node('a')}
        self.find()
        self.assertEqual(['a'], self.find())

    def test_what_is_wrong_is_left_out_until_it_is_mended(self):
        password = self.manager.info['a'].pop('bmc_password')
        self.find()
        self.assertEqual({'b'}, self.watch._bmcs.keys())
        self.manager.info['a']['bmc_password'] = password
        self.nodes(a=1, b=3600)
        self.find()
        self.assertEqual({'a', 'b'}, self.watch._bmcs.keys())

    def test_who_left_is_forgotten(self):
        self.find()
        self.nodes(b=3600)
        self.find()
        self.assertEqual({'b'}, self.watch._bmcs.keys())
        self.nodes(a=3600, b=3600)
        self.assertEqual(['a'], self.find())


class FactsTest(test_base.BaseTestCase):
    def test_labels_are_one_short_line(self):
        for said, label in (
            (None, ''),
            ('R 7', 'R 7'),
            ('a\nb', 'a b'),
            ('\ud800', ''),
            (7, '7'),
            ('x' * 9000, 'x' * metrics.LABEL_CHARS),
        ):
            self.assertEqual(label, metrics.label(said))

    def test_only_that_of_a_person_keeps_people_from_being_called(self):
        fields = dict.fromkeys(('uuid', 'driver', 'conductor_group'), 'x')
        fields |= dict.fromkeys(metrics.FIELDS)
        fields |= {'extra': {}, 'provision_state': 'active'}
        for maintenance, fault, told in (
            (False, None, False),
            (True, None, True),
            (True, 'power failure', False),
        ):
            fields |= {'maintenance': maintenance, 'fault': fault}
            one = metrics._Node(**fields)
            self.assertIs(told, one.facts(None).maintenance)


class SeenTest(test_base.BaseTestCase):
    """What Ironic's own loop is told without a question to the BMC."""

    def setUp(self):
        super().setUp()
        self.watch = power_watch.PowerWatchMixin()
        self.find(age=3600)
        self.watch._take(None, None, [('a', Off)])

    def find(self, age):
        changed = timeutils.utcnow() - datetime.timedelta(seconds=age)
        self.watch._nodes = {'a': node('a', changed)}
        self.watch._find_bmcs(Manager('a'))
        self.node = types.SimpleNamespace(
            uuid='a',
            power_state=states.POWER_OFF,
            updated_at=changed.replace(tzinfo=datetime.UTC),
        )

    def seen(self):
        return self.watch.seen(self.node)

    def test_what_was_seen(self):
        self.assertIs(Off, self.seen())

    def test_what_was_never_seen(self):
        self.node.uuid = 'b'
        self.assertIsNone(self.seen())

    def test_what_is_not_as_ironic_believes(self):
        self.node.power_state = states.POWER_ON
        self.assertIsNone(self.seen())

    def test_news(self):
        self.watch._take(None, None, [('a', On)])
        self.assertIsNone(self.seen())

    def test_what_was_seen_long_ago(self):
        power, at = self.watch._seen['a']
        age_s = power_watch.SEEN_S[base.BmcProtocol.IPMI]
        self.watch._seen['a'] = power, at - age_s
        self.assertIsNone(self.seen())

    def test_a_node_that_has_changed_meanwhile(self):
        self.node.updated_at = datetime.datetime.now(datetime.UTC)
        self.assertIsNone(self.seen())

    def test_a_node_that_changed_a_moment_ago(self):
        """It may have had an action since it was seen."""
        self.find(age=30)
        self.assertIsNone(self.seen())

    def test_a_node_that_was_never_changed(self):
        self.node.updated_at = None
        self.assertIsNone(self.seen())

    def test_who_left_is_forgotten(self):
        self.watch._nodes = {}
        self.watch._find_bmcs(Manager('a'))
        self.assertIsNone(self.seen())
        self.assertEqual({}, self.watch._seen)
