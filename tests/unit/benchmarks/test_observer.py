# SPDX-License-Identifier: Apache-2.0
"""CPU time is counted once: in a process, or in the one that waited for it."""

import secrets
import subprocess
import sys
import time

import testtools

from benchmarks import observer

SPIN = """
import time
while time.process_time() < 1.5: pass
"""
# Lives on after a child that is seen alive for a while, and says what both
# have spent.
PARENT = """
import os, subprocess, sys
subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]], check=True)
print(sum(os.times()[:4]), flush=True)
sys.stdin.read()
"""
# Ends without a look at its child, which has ended before.
CARELESS = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', sys.argv[1], sys.argv[2]])
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
child.returncode = 0
"""


class AccountingTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        # The tests run at once: each knows its own processes.
        self.mark = secrets.token_hex(8)

    def of_this_test(self, folder):
        words = (folder / 'cmdline').read_bytes()
        return observer.IRONIC if self.mark.encode() in words else None

    def parent(self):
        """Leave a process whose child has ended; return what both spent."""
        parent = subprocess.Popen(
            [sys.executable, '-c', PARENT, SPIN, self.mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(parent.communicate)
        return float(parent.stdout.readline())

    def test_work_of_a_child_counts_once(self):
        with observer.Accounting(self.of_this_test) as accounting:
            wanted_s = self.parent()
        spent_s = accounting.cpu_s()[observer.IRONIC]
        # The child alone worked for 1.5 s.
        self.assertAlmostEqual(wanted_s, spent_s, delta=0.5)
        self.assertGreater(accounting.peak_bytes()[observer.IRONIC], 10**6)

    def test_work_before_does_not_count(self):
        self.parent()
        with observer.Accounting(self.of_this_test) as accounting:
            time.sleep(2 * observer.READ_EVERY_S)
        self.assertLess(accounting.cpu_s()[observer.IRONIC], 0.2)
        self.assertGreater(accounting.idle_s, 0.4)

    def test_work_of_a_child_that_is_not_waited_for_counts(self):
        for then in ('', 'time.sleep(1.5)'):
            with observer.Accounting(self.of_this_test) as accounting:
                subprocess.run(
                    [sys.executable, '-c', CARELESS + then, SPIN, self.mark],
                    check=True,
                )
            # All of 1.5 s but what was done since the last reading.
            spent_s = accounting.cpu_s()[observer.IRONIC]
            self.assertGreater(spent_s, 0.7)
            self.assertLess(spent_s, 2)
