# SPDX-License-Identifier: Apache-2.0
"""Durations from timelines as conductors write them."""

import os

import fixtures
from oslotest import base

from zsbm_ironic.monitoring import durations
from zsbm_ironic.netboot import timeline

CLEANED = (
    (0, 'bmc', 'power-on', ''),
    (60, 'agent', 'agent-up', ''),
    (61, 'conductor', 'clean-step', 'erase_devices_metadata'),
    (90, 'bmc', 'power-off', ''),
)
DEPLOYED = (
    (100, 'conductor', 'deploy-step', 'deploy'),
    (101, 'bmc', 'rebooting', ''),
    (151, 'agent', 'agent-up', ''),
    (152, 'conductor', 'deploy-step', 'check_ramdisk'),
    (160, 'conductor', 'deploy-step', 'write_image'),
    (220, 'bmc', 'power-off', ''),
    (221, 'conductor', 'deploy-step', 'boot_instance'),
    (225, 'bmc', 'power-on', ''),
)
AGAIN = (400, 'bmc', 'rebooting', '')


def events(*rows):
    return [
        timeline.Event(float(at), source, name, detail=detail)
        for at, source, name, detail in rows
    ]


class Durations(base.BaseTestCase):
    def _of(self, *rows):
        found = durations.of(events(*rows))
        return found.boot_s, found.deploy_s

    def test_nothing_happened(self):
        self.assertEqual((None, None), self._of())

    def test_a_boot_without_a_deploy(self):
        self.assertEqual((60, None), self._of(*CLEANED))

    def test_a_deploy(self):
        self.assertEqual((50, 125), self._of(*CLEANED, *DEPLOYED))

    def test_what_a_user_does_later_changes_nothing(self):
        self.assertEqual((50, 125), self._of(*CLEANED, *DEPLOYED, AGAIN))

    def test_a_deploy_that_failed_counts_for_nothing(self):
        failed = DEPLOYED[:5]
        later = [(at + 1000, *rest) for at, *rest in DEPLOYED]
        self.assertEqual((50, None), self._of(*failed))
        self.assertEqual((50, 125), self._of(*failed, *later))

    def test_an_agent_that_ran_already(self):
        self.assertEqual((None, 125), self._of(DEPLOYED[0], *DEPLOYED[2:]))

    def test_the_file_is_read_when_it_has_changed(self):
        folder = self.useFixture(fixtures.TempDir()).path
        kept, book = timeline.Timeline(folder), durations.Book()
        self.assertEqual(durations.Durations(), book.of(kept, 'node'))
        kept.append('node', *events(*CLEANED))
        self.assertEqual(60, book.of(kept, 'node').boot_s)
        path = os.path.join(folder, 'node.jsonl')
        seen = os.stat(path).st_mtime_ns
        kept.append('node', *events(*DEPLOYED))
        os.utime(path, ns=(seen, seen))
        self.assertIsNone(book.of(kept, 'node').deploy_s)
        os.utime(path, ns=(seen, seen + 10**9))
        self.assertEqual(125, book.of(kept, 'node').deploy_s)
        kept.remove('node')
        self.assertEqual(durations.Durations(), book.of(kept, 'node'))
