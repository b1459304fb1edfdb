# SPDX-License-Identifier: Apache-2.0
"""A fleet that is quiet, loses packets, dies in part, is restarted."""

import time

from tests.fleet import scale
from zsbm_ironic.bmc import base

On, Off = base.PowerState.ON, base.PowerState.OFF
# Of a look each 4 s, a second one and what ironic does about it.
KNOWN_S = 6
POLL_S = 4
RESTART_S = 5


class TestFleet(scale.FleetTest):
    def test_a_change_is_known(self):
        """All at once, that is: of one it is a matter of milliseconds."""
        self.settle()
        names = self.by_ipmi()
        began, cpu_s = time.monotonic(), time.process_time()
        self.assertEqual(dict.fromkeys(names, On), dict(self.watch.at_once()))
        self.figures['at once (s)'] = round(time.monotonic() - began, 2)
        self.figures['at once, CPU (s)'] = round(
            time.process_time() - cpu_s, 3
        )
        self.fleet.control.power('off')
        began = time.monotonic()
        found = dict(self.watch.at_once())
        # Looked at twice.
        again = dict(self.watch.at_once(found))
        self.assertLess(time.monotonic() - began, KNOWN_S - POLL_S)
        self.assertEqual(dict.fromkeys(names, Off), found)
        self.assertEqual(found, again)
        found = {}
        while found.keys() != self.bmcs.keys():
            found |= self.round()
        self.assertEqual(dict.fromkeys(self.bmcs, Off), found)

    def test_loss_gives_no_wrong_state(self):
        self.settle()
        for number, name in enumerate(self.bmcs):
            if number % 2:
                self.fleet.control.of(name).power('off')
        expected = {
            name: Off if number % 2 else On
            for number, name in enumerate(self.bmcs)
        }
        self.fleet.control.faults(drop_percent=10)
        missing = set(self.bmcs)
        for _ in range(5):
            found = self.round(redfish_poll_s=30.0)
            for name, power in found.items():
                self.assertIs(expected[name], power)
            missing -= found.keys()
        self.figures['not heard in 5 rounds'] = len(missing)
        self.assertLess(len(missing), 0.1 * len(self.bmcs))

    def test_dead_ones_delay_no_living_one(self):
        self.settle()
        quiet = self.slowest_living(set())
        dead = set(list(self.bmcs)[::20])
        self.fleet.control.of(*dead).faults(off=True)
        # While it is found out about them, and after.
        for _ in range(4):
            seconds = self.slowest_living(dead)
            self.assertLess(seconds, quiet + 1.0)
            self.round()
        self.figures['slowest living (s)'] = round(seconds, 2)
        self.fleet.control.clear()
        self.figures['dead ones known again (s)'] = round(self.settle(), 1)

    def slowest_living(self, dead):
        """Return when the last of the living has answered."""
        began = last = time.monotonic()
        heard = set()
        for name, _power in self.watch.at_once():
            last = time.monotonic()
            heard.add(name)
        self.assertEqual(set(self.by_ipmi()) - dead, heard)
        return last - began

    def test_all_are_restarted(self):
        self.settle()
        self.fleet.control.restart(RESTART_S)
        time.sleep(RESTART_S)
        self.figures['known again (s)'] = round(self.settle(), 1)
        self.assertEqual(len(self.bmcs), len(self.sessions))

    def test_memory_of_a_session(self):
        before = scale.held()
        self.settle(self.by_ipmi())
        between = scale.held()
        self.settle()
        after = scale.held()
        ipmi, redfish = self.sizes()
        # What is loaded with the first is all of a small fleet's memory.
        for name, number, low, high in (
            ('IPMI', ipmi, before, between),
            ('both', ipmi + redfish, before, after),
        ):
            self.figures[f'KB for each, {name}'] = round(
                (high['bytes'] - low['bytes']) / number / 1000, 1
            )
        # A socket each, and two of the probe; threads are those of workers.
        self.assertLess(
            after['files'] - before['files'], 1.1 * len(self.bmcs) + 20
        )
        self.assertLess(after['threads'] - before['threads'], 4 * 8 + 1)
