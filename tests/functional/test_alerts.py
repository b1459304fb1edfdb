# SPDX-License-Identifier: Apache-2.0
"""From a fault of a server to the mail that one person gets, once.

Emulated BMCs, a real conductor, Prometheus, Alertmanager and SMTP. Rules are
those that we ship, with a second for each minute that they wait.
"""

import shutil
import signal
import time
import unittest

from tests.functional import alert_case, watch
from tests.functional.alert_case import INTERVAL_S, OPS, RACKS, SETTLE_S
from zsbm_ironic.lab.emulator import fixtures as emulated
from zsbm_ironic.lab.emulator import sensors

PSU, DIMM, DRIVE = sensors.PARTS
# Name of a server -> what is read of it, and the subject of the mail.
READINGS = {
    'temp': ('CPU1 Temp', 97, 'CPU1 Temp of {} is too hot.'),
    'fan': ('Fan1', 0, 'Fan1 of {} does not turn as it should.'),
    'psu': (PSU.name, PSU.failed, 'PSU1 Status of {} has failed.'),
    'dimm': (
        DIMM.name,
        DIMM.failed,
        'The BMC of {} tells of errors in its memory (DIMM A1).',
    ),
    'drive': (DRIVE.name, DRIVE.failed, 'Drive 0 of {} has failed.'),
    'volt': ('12V Rail', 14, 'A component of {} has failed.'),
    'warm': ('Inlet Temp', 39, 'A component of {} is about to fail.'),
}


@unittest.skipUnless(
    shutil.which('prometheus-alertmanager'), 'package prometheus-alertmanager'
)
class TestAlerts(alert_case.AlertCase):
    """Each alert that BMCs give reason for, on a server of its own."""

    # A dead BMC makes a round longer than the ten seconds here.
    LIMITS = (
        (
            '> on (instance) baremetal_interval_seconds',
            '> on (instance) (6 * baremetal_interval_seconds)',
        ),
    )
    NAMES = {
        'temp': 'TemperatureCritical',
        'fan': 'FanFailed',
        'psu': 'PowerSupplyFailed',
        'dimm': 'MemoryErrors',
        'drive': 'DriveFailed',
        'volt': 'HardwareCritical',
        'warm': 'HardwareWarning',
        'hot': 'TemperatureCritical',
        'dead': 'BmcSilent',
        'off': 'PowerNotAsWanted',
    }

    def setUp(self):
        super().setUp()
        self.bmcs = {
            name: self.useFixture(
                emulated.EmulatedIpmi('on', name=name, parts=sensors.PARTS)
            )
            for name in (*READINGS, 'dead', 'off', 'fine', 'mended')
        }
        self.bmcs['hot'] = self.useFixture(
            emulated.EmulatedRedfish('on', name='hot')
        )
        self.nodes = {
            name: self.managed(name, bmc) for name, bmc in self.bmcs.items()
        }
        self.api.set_node_maintenance(self.nodes['mended'])

    def break_all(self):
        for name, (sensor, value, _subject) in READINGS.items():
            self.bmcs[name].set_reading(sensor, value)
            # In maintenance: all of it at once, and nobody is told.
            self.bmcs['mended'].set_reading(sensor, value)
        self.bmcs['hot'].set_reading('Inlet Temp', 45)
        self.bmcs['dead'].faults.off = True
        self.bmcs['off'].power = 'off'

    def mend_all(self):
        for name in (*READINGS, 'hot', 'mended'):
            self.bmcs[name].chassis.readings.overrides.clear()
        self.bmcs['dead'].faults.off = False
        self.bmcs['off'].power = 'on'

    def subjects(self):
        return [
            *(text.format(name) for name, (_, _, text) in READINGS.items()),
            'Inlet Temp of hot is too hot.',
            'The BMC of dead does not answer.',
            'off is not switched as Ironic has it.',
        ]

    def histories(self):
        return {name: self.alerts(node) for name, node in self.nodes.items()}

    def test_each_is_told_to_one_person_once_and_when_it_is_over(self):
        prometheus = self.watch(limits=self.LIMITS)
        self.until(lambda: set(prometheus.ask('baremetal_up').values()), {1.0})
        self.until_maintained(prometheus, 'mended')
        self.break_all()
        told = sorted((RACKS, subject) for subject in self.subjects())
        self.until(self.mails, told)
        began = {name: [] for name in self.nodes}
        began |= {name: [(alert, False)] for name, alert in self.NAMES.items()}
        self.until(self.histories, began)
        for title, expression in watch.panels():
            if title in watch.OF_FAULTS:
                query = watch.filled(expression, rack='.*', **{'class': '.*'})
                self.assertNotEqual([], prometheus.vector(query), title)
        # It keeps whom it told, and forgets which alerts there are.
        self.alertmanager.end(signal.SIGTERM)
        self.alertmanager.start()
        # Until Alertmanager is believed again, and a look after that.
        time.sleep(SETTLE_S + 2 * INTERVAL_S)
        self.assertEqual(told, self.mails())
        self.assertEqual(began, self.histories())
        self.mend_all()
        over = [(RACKS, f'Over: {subject}') for subject in self.subjects()]
        self.until(self.mails, sorted([*told, *over]))
        ended = {
            name: [*events, *((alert, True) for alert, _ in events)]
            for name, events in began.items()
        }
        self.until(self.histories, ended)
        # Nothing comes after it.
        time.sleep(2 * INTERVAL_S)
        self.assertEqual(sorted([*told, *over]), self.mails())
        self.assertEqual(ended, self.histories())
        for one in self.nodes.values():
            self.assertIsNone(self.api.get_node(one).last_error)


@unittest.skipUnless(
    shutil.which('prometheus-alertmanager'), 'package prometheus-alertmanager'
)
class TestConductor(alert_case.AlertCase):
    """Conductors end, and begin again."""

    def setUp(self):
        super().setUp()
        self.bmc = self.useFixture(emulated.EmulatedIpmi('on', name='fan'))
        self.node = self.managed('fan', self.bmc)
        self.before = len(self.sink.mails)

    def mails(self):
        return self.sink.mails[self.before :]

    def test_a_restart_ends_no_alert_and_begins_none(self):
        self.watch(keep=None)
        self.bmc.set_reading('Fan1', 0)
        told = [(RACKS, 'Fan1 of fan does not turn as it should.')]
        self.until(self.mails, told)
        self.until(lambda: self.alerts(self.node), [('FanFailed', False)])
        self.ironic.stop(hard=True)
        self.ironic.start()
        time.sleep(SETTLE_S + 2 * INTERVAL_S)
        self.assertEqual(told, self.mails())
        self.assertEqual([('FanFailed', False)], self.alerts(self.node))

    def test_one_that_stays_silent(self):
        prometheus = self.watch(silent='5s')
        self.until(lambda: prometheus.ask('baremetal_up'), {('fan', None): 1})
        self.ironic.stop()
        text = f'The conductor at {self.listen} tells nothing of its servers.'

        def told():
            return [one for one in self.mails() if text in one[1]]

        try:
            self.until(told, [(OPS, text)])
        finally:
            self.ironic.start()
        self.until(told, [(OPS, text), (OPS, f'Over: {text}')])


@unittest.skipUnless(
    shutil.which('prometheus-alertmanager'), 'package prometheus-alertmanager'
)
class TestSlow(alert_case.AlertCase):
    """Rounds that take long are the administrator's business."""

    settings = {'workers': '1'}
    # Old is what is older than two rounds.
    LIMITS = (
        (
            '(4 * baremetal_interval_seconds + 60)',
            '(2 * baremetal_interval_seconds)',
        ),
    )

    def test_slow_rounds_and_old_readings(self):
        slow = ('slow-1', 'slow-2', 'slow-3')
        bmcs = {
            name: self.useFixture(emulated.EmulatedIpmi('on', name=name))
            for name in (*slow, 'other')
        }
        nodes = {name: self.managed(name, bmc) for name, bmc in bmcs.items()}
        # Each is read, and then old again, while the round goes on.
        prometheus = self.watch(limits=self.LIMITS, keep=None)
        self.until(
            lambda: prometheus.ask('baremetal_up'),
            {(name, None): 1.0 for name in bmcs},
        )
        self.assertEqual([], self.mails())
        for name in slow:
            # Some 14 s for all that is asked.
            bmcs[name].faults.delay_s = 1.5

        def told():
            return sorted(
                (to, subject.partition(' for ')[0].partition(' takes ')[0])
                for to, subject in self.sink.mails
            )

        began = [
            (OPS, 'A round over all servers'),
            *((OPS, f'Nothing was read of {name}') for name in bmcs),
        ]
        self.until(told, sorted(began))
        for bmc in bmcs.values():
            bmc.faults.delay_s = 0.0
        over = [(to, f'Over: {subject}') for to, subject in began]
        self.until(told, sorted([*began, *over]))
        for node in nodes.values():
            self.until(
                lambda node=node: self.alerts(node),
                [('ReadingsOld', False), ('ReadingsOld', True)],
            )
