# SPDX-License-Identifier: Apache-2.0
"""Which answers make the conductor look at a node."""

import fixtures
from ironic.common import states
from oslotest import base as test_base

from zsbm_ironic.bmc import base
from zsbm_ironic.drivers import metrics, power_watch

On, Off = base.PowerState.ON, base.PowerState.OFF


def node(uuid):
    return power_watch._Node(
        uuid, 'zsbm', '', {}, {}, 'zsbm', states.POWER_OFF, 'active'
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
