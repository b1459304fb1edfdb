# SPDX-License-Identifier: Apache-2.0
"""Boot loaders: every architecture has one, and pins name the entry."""

import json
import pathlib

import fixtures
from oslotest import base

from zsbm_ironic.common import artifacts
from zsbm_ironic.netboot import loaders


class TestLoaders(base.BaseTestCase):
    def test_every_architecture_has_a_loader(self):
        folders = {name.partition('/')[0] for name in loaders.LAYOUT}
        self.assertEqual(
            {'i386-bios', 'amd64', 'arm64', 'riscv64', 'loong64'}, folders
        )

    def test_what_is_there_is_not_fetched(self):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        folder = root / 'loaders' / loaders.key()
        folder.mkdir(parents=True)
        manifest = {'ipxe': {'version': '1', 'sha256': '00'}}
        (folder / loaders.MANIFEST).write_text(json.dumps(manifest))
        found = loaders.fetch(artifacts.Artifacts(root))
        self.assertEqual({'ipxe': '1'}, found.versions)
        self.assertEqual(
            folder / 'arm64' / 'ipxe.efi', found.path('arm64/ipxe.efi')
        )
