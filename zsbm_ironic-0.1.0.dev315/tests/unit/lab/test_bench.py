# SPDX-License-Identifier: Apache-2.0
"""What an emulator is started with: a newer QEMU only where one is needed."""

import os
import pathlib

import fixtures
from oslotest import base

from zsbm_ironic.common import artifacts
from zsbm_ironic.lab import bench
from zsbm_ironic.machine import newer_qemu


class EnvironmentTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cache = artifacts.Artifacts(root / 'cache')
        self.folder = root / 'state'

    def environment(self, arch):
        return bench._environment(arch, self.folder, self.cache)

    def test_most_machines_run_on_the_qemu_of_the_host(self):
        for arch in ('x86_64', 'aarch64'):
            found = self.environment(arch)
            self.assertNotIn('ZSBM_FIRMWARE_DIR', found)
            self.assertNotIn(newer_qemu.KIND, found['PATH'])
        # Nor was anything fetched for them.
        self.assertFalse(self.cache.root.exists())

    def test_others_find_theirs_first(self):
        entry = self.cache.root / newer_qemu.KIND / newer_qemu.key()
        entry.mkdir(parents=True)
        for arch in newer_qemu.ARCHITECTURES:
            found = self.environment(arch)
            first, _, rest = found['PATH'].partition(os.pathsep)
            self.assertEqual(str(entry / 'bin'), first)
            self.assertEqual(self.environment('x86_64')['PATH'], rest)
            self.assertEqual(
                str(entry / 'firmware'), found['ZSBM_FIRMWARE_DIR']
            )
