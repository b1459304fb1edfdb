# SPDX-License-Identifier: Apache-2.0
"""The guest that tells a KVM that works from one that does not."""

import json
import os
import pathlib
import shutil
import subprocess

import fixtures
from oslotest import base

from zsbm_ironic.machine import accelerator


class TestProbe(base.BaseTestCase):
    def test_guest_ends_well_in_software(self):
        self.assertTrue(accelerator.runs('tcg', limit_s=60))

    def test_slow_is_no(self):
        self.assertFalse(accelerator.runs('tcg', limit_s=0.05))

    def test_what_cannot_start_is_no(self):
        self.assertFalse(accelerator.runs('no-such-accelerator'))

    def test_code_is_as_listed(self):
        """The listing beside the bytes is what a disassembler says."""
        if shutil.which('objdump') is None:
            self.skipTest('no objdump')
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path) / 'code'
        path.write_bytes(accelerator._CODE)
        listing = subprocess.run(
            ['objdump', '-D', '-b', 'binary', '-mi386', '-Mintel', path],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        self.assertIn('lgdtd', listing)
        self.assertIn('jmp    0x8:0x100076', listing)


class TestChoose(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        accelerator.choose.cache_clear()
        self.addCleanup(accelerator.choose.cache_clear)
        self.runtime = self.useFixture(fixtures.TempDir()).path
        self.useFixture(
            fixtures.EnvironmentVariable('XDG_RUNTIME_DIR', self.runtime)
        )

    def test_other_architecture_is_software(self):
        self.assertEqual('tcg', accelerator.choose('s390x'))

    def test_answer_is_kept_until_reboot(self):
        if not os.access('/dev/kvm', os.W_OK):
            self.skipTest('no /dev/kvm')
        if os.uname().machine != 'x86_64':
            self.skipTest('the guest is x86 code')
        path = pathlib.Path(self.runtime) / 'zsbm-accelerator.json'
        # What root found out earlier would count too.
        self.useFixture(
            fixtures.MockPatchObject(accelerator, '_caches', lambda: [path])
        )
        chosen = accelerator.choose('x86_64')
        [(key, kept)] = json.loads(path.read_text()).items()
        self.assertEqual(chosen, kept)
        self.assertIn(os.uname().release, key)
        path.write_text(json.dumps({key: 'as kept'}))
        accelerator.choose.cache_clear()
        self.assertEqual('as kept', accelerator.choose('x86_64'))

    def test_answer_of_another_user_is_not_believed(self):
        if os.getuid() != 0:
            self.skipTest('only root can give a file away')
        path = pathlib.Path(self.runtime) / 'zsbm-accelerator.json'
        path.write_text('{"key": "kvm"}')
        self.assertEqual({'key': 'kvm'}, accelerator._read(path))
        os.chown(path, 64999, -1)
        self.assertEqual({}, accelerator._read(path))
