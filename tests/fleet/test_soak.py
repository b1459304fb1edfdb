# SPDX-License-Identifier: Apache-2.0
"""A day of polling, compressed: nothing grows.

A day has 14400 rounds of 6 s. In the matrix there are as many, of a fleet so
small that they fit; faults come and go among them as in a bad week.
"""

import itertools
import random
import time

from tests.fleet import scale

# A round of each is by Redfish too, and one has something happen.
REDFISH_EVERY, FAULT_EVERY = 5, 50
WARM = 0.2
IPMI, REDFISH = 20, 4


class TestSoak(scale.FleetTest):
    def sizes(self):
        return IPMI, REDFISH

    def test_a_day(self):
        rounds = scale.size('ZSBM_FLEET_ROUNDS')
        self.settle()
        warm = max(2 * FAULT_EVERY, round(WARM * rounds))
        self.rounds(warm)
        before = scale.held()
        began, cpu_s = time.monotonic(), time.process_time()
        self.rounds(rounds)
        after = scale.held()
        self.figures['rounds'] = rounds
        self.figures['seconds'] = round(time.monotonic() - began)
        self.figures['CPU (s)'] = round(time.process_time() - cpu_s, 1)
        for name, value in before.items():
            self.figures[f'{name} after warm-up'] = value
            self.figures[f'{name} at the end'] = after[name]
        self.assertLessEqual(after['files'], before['files'] + 4)
        self.assertLessEqual(after['threads'], 4 * scale.WORKERS + 2)
        # One that is forgotten in each round would be as many as rounds.
        self.assertLess(after['objects'] - before['objects'], rounds / 2 + 200)
        self.assertLess(after['bytes'] - before['bytes'], 4e6)

    def rounds(self, number):
        """Ask so many times, while faults come and go; end without one."""
        chance = random.Random(number)  # noqa: S311 - which faults
        faults = itertools.cycle(
            (
                lambda one: one.faults(off=True),
                lambda one: one.faults(drop_percent=20),
                lambda one: one.restart(0.5),
                lambda one: one.faults(delay_s=0.3),
            )
        )
        names = list(self.bmcs)
        for one in range(number):
            if one % FAULT_EVERY == 1:
                self.fleet.control.clear()
                next(faults)(self.fleet.control.of(chance.choice(names)))
            dict(self.watch.at_once())
            if one % REDFISH_EVERY == 0:
                self.round(limit_s=0.5)
        self.fleet.control.clear()
        self.settle()
