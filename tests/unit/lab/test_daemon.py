# SPDX-License-Identifier: Apache-2.0
"""The lab ends its own processes and nobody else's."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import fixtures
import testtools

from zsbm_ironic.lab import daemon
from zsbm_ironic.lab import exception as lab_exception

SLEEPER = (sys.executable, '-c', 'import time; time.sleep(60)')
STUBBORN = (
    sys.executable,
    '-c',
    'import signal, time, pathlib, sys\n'
    'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
    'pathlib.Path(sys.argv[1]).touch()\n'
    'time.sleep(60)',
)


class SupervisorTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.run = root / 'run'
        self.supervisor = daemon.Supervisor(self.run, root / 'log')
        self.marker = root / 'marker'

    def start(self, argv=SLEEPER, **fields):
        one = daemon.Daemon('one', argv, namespace=None, **fields)
        started = self.supervisor.start(one)
        self.addCleanup(self.supervisor.stop, 'one', stop_s=0.2)
        return started

    def test_a_running_process_is_not_started_again(self):
        self.assertTrue(self.start())
        pid = self.supervisor.pid('one')
        self.assertFalse(self.start())
        self.assertEqual(pid, self.supervisor.pid('one'))

    def test_a_running_process_is_waited_for(self):
        self.start()
        answers = iter((False, False, True))
        self.assertFalse(self.start(ready=lambda: next(answers)))
        self.assertEqual([], list(answers))

    def test_stop_ends_it_and_forgets_it(self):
        self.start()
        pid = self.supervisor.pid('one')
        self.assertTrue(self.supervisor.stop('one'))
        self.assertIsNone(daemon.start_time(pid))
        self.assertEqual([], self.supervisor.names())
        self.assertFalse(self.supervisor.stop('one'))

    def test_a_process_that_ignores_sigterm_is_killed(self):
        self.start((*STUBBORN, str(self.marker)), ready=self.marker.exists)
        pid = self.supervisor.pid('one')
        self.supervisor.stop('one', stop_s=0.3)
        self.assertIsNone(daemon.start_time(pid))

    def test_a_process_is_asked_by_the_signal_that_it_heeds(self):
        self.start(
            (*STUBBORN, str(self.marker)),
            ready=self.marker.exists,
            # Whoever runs the tests may have it ignore SIGHUP.
            stop_signal=signal.SIGUSR1,
        )
        pid = self.supervisor.pid('one')
        began = time.monotonic()
        self.supervisor.stop('one', stop_s=20)
        self.assertIsNone(daemon.start_time(pid))
        self.assertLess(time.monotonic() - began, 10)

    def test_a_pid_that_now_belongs_to_another_is_left_alone(self):
        stranger = subprocess.Popen(SLEEPER)
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        self.run.mkdir()
        record = {'pid': stranger.pid, 'started': 1}
        (self.run / 'one.json').write_text(json.dumps(record))
        self.assertFalse(self.supervisor.stop('one'))
        self.assertIsNone(stranger.poll())

    def test_a_process_that_ends_at_once_shows_what_it_said(self):
        argv = (sys.executable, '-c', 'raise SystemExit("port taken")')
        failure = self.assertRaises(
            lab_exception.LabProcessFailed, self.start, argv
        )
        self.assertIn('port taken', str(failure))
        self.assertIsNone(self.supervisor.pid('one'))

    def test_a_process_that_is_never_ready_is_ended(self):
        self.assertRaises(
            lab_exception.LabProcessFailed,
            self.start,
            ready=lambda: False,
            ready_s=0.3,
        )
        self.assertIsNone(self.supervisor.pid('one'))

    def test_kill_leaves_the_record_as_a_crash_does(self):
        self.start()
        self.supervisor.kill('one')
        self.assertIsNone(self.supervisor.pid('one'))
        self.assertEqual(['one'], self.supervisor.names())
        self.assertTrue(self.start())


class IdentityTest(testtools.TestCase):
    def test_an_identity_has_its_capabilities_and_no_other(self):
        if os.geteuid() != 0:
            self.skipTest('taking on another user needs root')
        who = daemon.Identity(64199, 64199, capabilities=('net_raw',))
        reader = 'print(open("/proc/self/status").read())'
        done = subprocess.run(
            [*who.argv(), '/usr/bin/python3', '-c', reader],
            capture_output=True,
            text=True,
            check=True,
        )
        facts = dict(
            line.split(':', 1) for line in done.stdout.splitlines() if line
        )
        net_raw = 1 << 13  # capabilities(7), linux/capability.h
        for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb'):
            self.assertEqual(net_raw, int(facts[name], 16), name)
        self.assertEqual(['64199'] * 4, facts['Uid'].split())
        self.assertEqual('1', facts['NoNewPrivs'].strip())

    def test_the_start_time_of_a_zombie_is_none(self):
        child = subprocess.Popen(SLEEPER)
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertIsNone(daemon.start_time(child.pid))
        child.wait()
