# SPDX-License-Identifier: Apache-2.0
import pathlib

import fixtures
from oslotest import base

from zsbm_ironic.netboot import timeline

NODE = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0001'


def event(when, name='dhcp-offer', **fields):
    return timeline.Event(when, 'dhcp', name, **fields)


class TestTimeline(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.timeline = timeline.Timeline(self.directory / 'events', 50)

    def test_events_come_back_by_time(self):
        self.timeline.append(NODE, event(2.0), event(1.0, mac='a', detail='b'))
        self.timeline.append(NODE, event(1.5))
        times = [one.timestamp for one in self.timeline.read(NODE)]
        self.assertEqual([1.0, 1.5, 2.0], times)
        self.assertEqual('b', self.timeline.read(NODE)[0].detail)

    def test_the_file_stays_bounded_and_keeps_the_newest(self):
        for number in range(1000):
            self.timeline.append(NODE, event(float(number), detail='x' * 500))
        events = self.timeline.read(NODE)
        self.assertLessEqual(len(events), 75)
        self.assertEqual(999.0, events[-1].timestamp)

    def test_nothing_known_is_an_empty_list(self):
        self.assertEqual([], self.timeline.read(NODE))
        self.assertEqual([], self.timeline.keys())

    def test_a_line_that_was_cut_off_is_left_out(self):
        self.timeline.append(NODE, event(1.0))
        path = self.directory / 'events' / f'{NODE}.jsonl'
        with path.open('a') as stream:
            stream.write('{"timestamp": 2.0, "sour')
        self.assertEqual(1, len(self.timeline.read(NODE)))

    def test_a_key_is_no_path(self):
        for key in ('../x', '', 'a/b', 'x' * 65):
            self.assertRaises(ValueError, self.timeline.append, key, event(1))

    def test_a_directory_that_cannot_be_written_costs_events_alone(self):
        blocked = self.directory / 'file'
        blocked.write_text('')
        timeline.Timeline(blocked / 'events').append(NODE, event(1.0))

    def test_streams_are_merged_by_time(self):
        merged = timeline.merge([event(3.0), event(1.0)], [event(2.0)])
        self.assertEqual([1.0, 2.0, 3.0], [one.timestamp for one in merged])

    def test_a_node_is_forgotten(self):
        self.timeline.append(NODE, event(1.0))
        self.assertEqual([NODE], self.timeline.keys())
        self.timeline.remove(NODE)
        self.assertEqual([], self.timeline.read(NODE))
