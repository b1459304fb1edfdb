# SPDX-License-Identifier: Apache-2.0
"""The command `zsbm-lab` itself: nothing there, interrupted, taken up."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import testtools

from tests.e2e import base
from zsbm_ironic.common import process

STATE = '/var/lib/zsbm-lab-test-command'
COMMAND = pathlib.Path(sys.executable).parent / 'zsbm-lab'
# Where `up` is stopped: the step that it announced, and seconds after that.
POINTS = (
    ('network', 0.0),
    ('bmc-metal-uefi', 0.5),
    ('bmc-metal-bios', 0.2),
    ('ironic: configuration and database', 1.5),
    ('zsbm-netboot', 0.1),
    ('ironic', 1.0),
)
BECOMES_S = 180
FIELDS = ('name', 'power_state', 'provision_state', 'last_error')
PROCESSES = {'bmc-metal-uefi', 'bmc-metal-bios', 'zsbm-netboot', 'ironic'}


class LabTest(testtools.TestCase):
    """A lab that each test begins without."""

    def setUp(self):
        super().setUp()
        base.make_room()
        os.environ['ZSBM_LAB_DIR'] = STATE
        self.addCleanup(shutil.rmtree, STATE, ignore_errors=True)
        self.addCleanup(self.zsbm_lab, 'down', '--wipe')

    def zsbm_lab(self, *words, check=True):
        return process.run([COMMAND, *words], timeout_s=600, check=check)

    def test_nothing_is_up(self):
        self.assertIn('There is no lab', self.zsbm_lab('status').stdout)
        found = json.loads(self.zsbm_lab('status', '-f', 'json').stdout)
        self.assertEqual(
            {
                'plan': None,
                'namespace': None,
                'processes': [],
                'machines': [],
            },
            found,
        )
        for words in (('exec', '--', 'true'), ('shell',)):
            done = self.zsbm_lab(*words, check=False)
            self.assertEqual(1, done.returncode)
            self.assertIn('zsbm-lab up', done.stderr)
        self.zsbm_lab('down')
        self.zsbm_lab('down')
        self.assertFalse(pathlib.Path(STATE).exists())

    def test_a_fleet_is_enrolled_breaks_and_is_mended(self):
        self.zsbm_lab('up')
        self.zsbm_lab('fleet', '--ipmi', '14', '--redfish', '6')
        # What is there stays, and there are more.
        self.zsbm_lab('fleet', '--ipmi', '28', '--redfish', '12')
        nodes = self.nodes()
        self.assertEqual(40, len(nodes))
        for node in nodes.values():
            self.assertEqual('manageable', node['provision_state'])
            self.assertEqual('power on', node['power_state'])
        broken = min(nodes)
        self.zsbm_lab('fault', 'bmc-off', broken)
        for name, verb in ((broken, 'power off'), (max(nodes), 'power on')):
            done = self.baremetal('node', *verb.split(), name, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
        self.becomes(lambda: broken in self.failed())
        self.assertEqual([broken], self.failed())
        done = self.zsbm_lab('fault', 'bmc-off', 'fleet-9999', check=False)
        self.assertIn('no server fleet-9999', done.stderr)
        self.zsbm_lab('fault', 'clear')
        self.baremetal('node', 'power', 'off', broken)
        self.becomes(
            lambda: self.nodes()[broken]['power_state'] == 'power off'
        )
        namespaces = base.namespaces()
        self.zsbm_lab('down', '--wipe')
        self.assertEqual([], base.left_of(STATE, namespaces))

    def baremetal(self, *words, check=True):
        return self.zsbm_lab(
            *('exec', '--', 'openstack', 'baremetal', *words), check=check
        )

    def nodes(self):
        """Return FIELDS of each node by the first of them, its name."""
        told = self.baremetal(
            'node', 'list', '-f', 'json', '--fields', *FIELDS
        )
        rows = [list(row.values()) for row in json.loads(told.stdout)]
        return {row[0]: dict(zip(FIELDS, row, strict=True)) for row in rows}

    def failed(self):
        """Return the names of nodes that have an error."""
        return [
            name for name, one in self.nodes().items() if one['last_error']
        ]

    def becomes(self, question):
        """Wait until it is so."""
        deadline = time.monotonic() + BECOMES_S
        while not question():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(1)

    def test_up_interrupted(self):
        self.stop_up_everywhere(signal.SIGINT, 130)

    def test_up_killed(self):
        self.stop_up_everywhere(signal.SIGKILL, -signal.SIGKILL)

    def stop_up_everywhere(self, number, status):
        """Stop `up` at one point after the other; each takes it up."""
        for step, pause_s in POINTS:
            self.assertEqual(status, self.stop_up(step, pause_s, number))
        self.zsbm_lab('up')
        found = json.loads(self.zsbm_lab('status', '-f', 'json').stdout)
        pids = {one['name']: one['pid'] for one in found['processes']}
        self.assertEqual(PROCESSES, set(pids))
        self.assertNotIn(None, pids.values())
        drivers = self.zsbm_lab(
            *('exec', '--', 'openstack', 'baremetal', 'driver', 'list'),
            *('-f', 'value', '-c', 'name'),
        )
        self.assertIn('zsbm', drivers.stdout.split())
        self.zsbm_lab('up')
        again = json.loads(self.zsbm_lab('status', '-f', 'json').stdout)
        self.assertEqual(found['processes'], again['processes'])
        namespaces = base.namespaces()
        self.zsbm_lab('down')
        self.assertEqual([], base.left_of(STATE, namespaces))
        self.assertEqual([], base.named_namespaces())
        self.zsbm_lab('down')

    def stop_up(self, step, pause_s, number):
        """Signal an `up` when it has begun a step; return its status."""
        with subprocess.Popen(
            [COMMAND, 'up'],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # Who runs the tests in the background has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as up:
            said = ''
            for line in up.stderr:
                said += line
                if line.endswith(f'] {step} ...\n'):
                    time.sleep(pause_s)
                    up.send_signal(number)
                    break
            else:
                self.fail(f'never at {step}: {said}')
            up.stderr.read()
        return up.returncode
