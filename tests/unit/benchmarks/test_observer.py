# SPDX-License-Identifier: Apache-2.0
"""CPU time is counted once: in a process, or in the one that waited for it."""

import subprocess
import sys
import time

import testtools

from benchmarks import observer

MARK = b'process-of-this-test'
SPIN = """
import time
while time.process_time() < 1.5: pass
"""
# Lives on after a child that is seen alive for a while.
PARENT = """
import subprocess, sys
subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]], check=True)
print(flush=True)
sys.stdin.read()
"""


def of_this_test(folder):
    words = (folder / 'cmdline').read_bytes()
    return observer.IRONIC if MARK in words else None


class AccountingTest(testtools.TestCase):
    def parent(self):
        """Return a process whose child has worked and ended."""
        parent = subprocess.Popen(
            [sys.executable, '-c', PARENT, SPIN, MARK],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(parent.communicate)
        parent.stdout.readline()
        return parent

    def test_work_of_a_child_counts_once(self):
        with observer.Accounting(of_this_test) as accounting:
            self.parent()
        spent_s = accounting.cpu_s()[observer.IRONIC]
        self.assertGreater(spent_s, 1.4)
        # Two interpreters start as well; counted twice, it would be over 3.
        self.assertLess(spent_s, 2.9)
        self.assertGreater(accounting.peak_bytes()[observer.IRONIC], 10**6)

    def test_work_before_does_not_count(self):
        self.parent()
        with observer.Accounting(of_this_test) as accounting:
            time.sleep(2 * observer.READ_EVERY_S)
        self.assertLess(accounting.cpu_s()[observer.IRONIC], 0.2)
        self.assertGreater(accounting.idle_s, 0.4)
