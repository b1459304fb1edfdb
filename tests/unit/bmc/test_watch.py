# SPDX-License-Identifier: Apache-2.0
"""The power of a fleet, some of which are dead, slow, liars or full."""

import socket
import threading
import time

from oslotest import base as test_base

from zsbm_ironic.bmc import base, pool, together, watch
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception
from zsbm_ironic.lab.emulator import fixtures as emulated
from zsbm_ironic.lab.emulator import fleet
from zsbm_ironic.lab.emulator.ipmi import session as emulated_session

On, Off = base.PowerState.ON, base.PowerState.OFF
IPMI, REDFISH = 40, 6
WORKERS = 4


def read(info):
    return bmc_credentials.Credentials.from_driver_info(info)


class WatchTest(test_base.BaseTestCase):
    ipmi, redfish = IPMI, REDFISH

    def setUp(self):
        super().setUp()
        self.fleet = fleet.Fleet(
            fleet.Plan(
                ipmi=self.ipmi,
                redfish=self.redfish,
                ipmi_port=0,
                redfish_port=0,
            )
        )
        self.addCleanup(self.fleet.stop)
        self.bmcs = {
            one.name: read(self.fleet.driver_info(one))
            for one in self.fleet.members
        }
        self.by_name = {one.name: one for one in self.fleet.members}
        self.sessions = pool.Pool()
        self.addCleanup(self.sessions.close)
        self.watch = watch.Watch(self.sessions, WORKERS)
        self.addCleanup(self.watch.close)

    def look(self, limit_s=5.0, redfish_poll_s=0.0, again=None):
        self.watch.watch(self.bmcs)
        pace = watch.Pace(0.0, redfish_poll_s, limit_s)
        found = dict(self.watch.at_once(again))
        return found | dict(self.watch.by_workers(pace, again))

    def settle(self, seconds=60):
        """Look until each has been seen once."""
        missing, deadline = set(self.bmcs), time.monotonic() + seconds
        while missing:
            self.assertLess(time.monotonic(), deadline)
            missing -= self.look().keys()

    def wait_for(self, name):
        deadline = time.monotonic() + 60
        while name not in self.look(limit_s=1.0):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.5)

    def sessions_of(self, member):
        bmc = self.fleet._bmcs[member.name]
        return [one for one in bmc._sessions.values() if one.established]

    def ipmi_members(self):
        return [one for one in self.fleet.members if one.protocol == 'ipmi']


class TestFleet(WatchTest):
    def test_each_is_known(self):
        self.settle()
        for one in self.fleet.members[::3]:
            one.chassis.is_on = False
        found = self.look()
        self.assertEqual(
            {
                one.name: On if one.chassis.is_on else Off
                for one in self.fleet.members
            },
            found,
        )
        self.assertEqual(len(self.bmcs), len(self.sessions))

    def test_dead_ones_delay_nobody(self):
        self.settle()
        dead = {one.name for one in self.fleet.members[::4]}
        for name in dead:
            self.by_name[name].faults.off = True
        living = self.bmcs.keys() - dead
        # While it is found out about the dead, and after.
        for _ in range(3):
            began = time.monotonic()
            for name, _power in self.watch.at_once():
                last = time.monotonic()
                self.assertIn(name, living)
            self.assertLess(last - began, 0.5)
            dict(self.watch.by_workers(watch.Pace(0.0, 0.0, 0.5)))
        self.assertLessEqual(
            len(self.watch._running), watch.OLD_TIMES * WORKERS
        )

    def test_a_dead_one_is_left_be_and_comes_back(self):
        self.settle()
        one = self.ipmi_members()[0]
        one.faults.off = True
        self.assertNotIn(one.name, self.look())
        began = time.monotonic()
        self.look()
        self.assertLess(time.monotonic() - began, watch.PROBE_S)
        one.faults.off = False
        self.assertEqual(On, self.look(again=[one.name])[one.name])

    def test_lost_packets_give_no_wrong_state(self):
        self.settle()
        for one in self.fleet.members[::2]:
            one.chassis.is_on = False
        for one in self.ipmi_members():
            one.faults.drop_percent = 10
        for _ in range(5):
            for name, power in self.look(redfish_poll_s=60).items():
                self.assertEqual(
                    On if self.by_name[name].chassis.is_on else Off, power
                )

    def test_a_restarted_fleet_is_known_again(self):
        self.settle()
        for one in self.fleet.members:
            self.fleet.restart(one.name, 0.5)
        time.sleep(0.5)
        self.settle()

    def test_slow_ones_are_known_later(self):
        self.settle()
        slow = self.ipmi_members()[0]
        slow.faults.delay_s = 2.0
        self.wait_for(slow.name)
        # On one session, by a worker, without a login each time.
        (session,) = self.sessions_of(slow)
        self.look(again=[slow.name])
        self.wait_for(slow.name)
        self.assertEqual([session], self.sessions_of(slow))

    def test_who_left_is_not_asked(self):
        self.settle()
        gone = self.bmcs.popitem()[0]
        self.assertNotIn(gone, self.look())

    def test_redfish_is_asked_no_faster_than_told(self):
        self.settle()
        self.look(redfish_poll_s=0.0)
        self.assertEqual(
            self.ipmi + self.redfish, len(self.look(redfish_poll_s=60.0))
        )
        self.assertEqual(self.ipmi, len(self.look(redfish_poll_s=60.0)))
        # But for one that is looked at for the second time.
        name = self.fleet.members[-1].name
        found = self.look(redfish_poll_s=60.0, again=[name])
        self.assertEqual({name}, found.keys())

    def test_who_is_not_held_is_asked_no_faster_than_told(self):
        for one in self.fleet.members[IPMI:]:
            self.bmcs.pop(one.name)
        self.watch.watch(self.bmcs)
        slots = watch.Pace(60.0, 60.0, 5.0, hold=False)
        found = dict(self.watch.by_workers(slots))
        self.assertEqual(self.bmcs.keys(), found.keys())
        self.assertEqual({}, dict(self.watch.by_workers(slots)))
        self.assertEqual(0, len(self.sessions))

    def test_a_session_in_use_is_not_disturbed(self):
        self.settle()
        one = self.ipmi_members()[0]
        using, done = threading.Event(), threading.Event()

        def use(_bmc):
            using.set()
            done.wait(30)

        user = threading.Thread(
            target=self.sessions.call,
            args=(one.name, self.bmcs[one.name], use),
        )
        user.start()
        using.wait(30)
        found = self.look(limit_s=0.5)
        done.set()
        user.join()
        self.assertEqual(self.bmcs.keys() - {one.name}, found.keys())


class TestRefusals(WatchTest):
    ipmi, redfish = 1, 0

    def test_a_wrong_password_is_not_tried_again_and_again(self):
        (one,) = self.fleet.members
        one.faults.wrong_password = True
        self.assertEqual({}, self.look())
        one.faults.wrong_password = False
        self.assertEqual({}, self.look())
        # Until somebody changes the settings.
        info = self.fleet.driver_info(one)
        self.bmcs = {one.name: read({**info, 'ipmi_cipher_suite': 17})}
        self.assertEqual({one.name: On}, self.look())


class TestFullTable(test_base.BaseTestCase):
    def test_it_is_left_be_and_asked_again(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        info = read(bmc.driver_info())
        others = [pool.Pool() for _ in range(emulated_session.MAX_SESSIONS)]
        for number, one in enumerate(others):
            self.addCleanup(one.close)
            one.call(str(number), info, lambda bmc: bmc.get_power())
        sessions = pool.Pool()
        self.addCleanup(sessions.close)

        def ask(**more):
            return sessions.call(
                'node', info, lambda bmc: bmc.get_power(), **more
            )

        self.assertRaises(exception.BmcBusy, ask)
        others[0].close()
        found = self.assertRaises(exception.BmcBusy, ask)
        self.assertIn('no session is free, asked again in', str(found))
        # What a person asks for is tried at once.
        self.assertIs(On, ask(once=True))
        self.assertIs(On, ask())

    def test_the_rest_grows(self):
        place = pool._Place()
        rests = []
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        info = read(bmc.driver_info())
        others = [pool.Pool() for _ in range(emulated_session.MAX_SESSIONS)]
        for number, one in enumerate(others):
            self.addCleanup(one.close)
            one.call(str(number), info, lambda bmc: bmc.get_power())
        sessions = pool.Pool()
        for _ in range(5):
            self.assertRaises(
                exception.BmcBusy, sessions._logged_in, place, info
            )
            rests.append(round(place.full_until - time.monotonic()))
        self.assertEqual([5, 10, 20, 40, 60], rests)


class TestTogether(test_base.BaseTestCase):
    def test_who_is_there(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        dead = self.useFixture(emulated.EmulatedIpmi('on'))
        dead.faults.off = True
        info = bmc.driver_info()
        probe = together.Probe()
        self.addCleanup(probe.close)
        found = probe.present(
            {
                'there': read(info),
                'dead': read(dead.driver_info()),
                'named': read({**info, 'bmc_address': 'bmc.example.org'}),
                'nowhere': read({**info, 'bmc_address': '::ffff:0:1'}),
            },
            1.0,
        )
        self.assertEqual({'there', 'named'}, found)

    def test_a_flood_keeps_nobody(self):
        liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        liar.bind(('127.0.0.1', 0))
        self.addCleanup(liar.close)
        ending = threading.Event()
        self.addCleanup(ending.set)

        def flood():
            _packet, sender = liar.recvfrom(100)
            while not ending.is_set():
                liar.sendto(b'\x06\x00\xff\x07' + bytes(30), sender)

        threading.Thread(target=flood, daemon=True).start()
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        info = bmc.driver_info()
        port = liar.getsockname()[1]
        probe = together.Probe()
        self.addCleanup(probe.close)
        began = time.monotonic()
        for _ in range(3):
            found = probe.present(
                {'liar': read({**info, 'bmc_port': port}), 'x': read(info)},
                0.5,
            )
            self.assertEqual({'x'}, found)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_late_answer_counts_next_time(self):
        bmc = self.useFixture(emulated.EmulatedIpmi('on'))
        bmc.faults.delay_s = 0.6
        probe = together.Probe()
        self.addCleanup(probe.close)
        known = {'slow': read(bmc.driver_info())}
        self.assertEqual(set(), probe.present(known, 0.2))
        time.sleep(0.8)
        self.assertEqual({'slow'}, probe.present(known, 0.0))


class TestClose(test_base.BaseTestCase):
    def test_dead_ones_do_not_keep_it(self):
        bmcs = [
            self.useFixture(emulated.EmulatedRedfish('on')) for _ in range(3)
        ]
        sessions = pool.Pool()
        for number, bmc in enumerate(bmcs):
            sessions.call(
                str(number),
                read(bmc.driver_info()),
                lambda one: one.get_power(),
            )
        for bmc in bmcs[1:]:
            bmc.faults.off = True
        began = time.monotonic()
        sessions.close()
        self.assertLess(time.monotonic() - began, pool.CLOSE_S + 2)
        self.assertEqual(0, bmcs[0].sessions)
