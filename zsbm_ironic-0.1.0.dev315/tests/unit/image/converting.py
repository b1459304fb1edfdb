# SPDX-License-Identifier: Apache-2.0
"""Base of the tests that convert a made-up OS on a real disk."""

import contextlib
import io
import json
import pathlib

import fixtures
import testtools

from tests.unit.image import made_up
from zsbm_ironic.common import process
from zsbm_ironic.image import cli, loaders, tree, volumes


class ConvertCase(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.image = made_up.Image(self.folder)
        self.source = self.folder / 'disk.raw'
        self.output = self.folder / 'metal.raw'
        self.cache = self.folder / 'cache'
        self.make_loaders()

    def make_loaders(self) -> None:
        root = self.cache / loaders.KIND / loaders.key()
        found = loaders.Loaders(root)
        for name, path in found.uefi('x86_64').items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name.encode())

    def convert(
        self, *words: str, hardware: tuple[str, ...] = ('bios-sata',)
    ) -> tuple[int, dict[str, list[str]], str]:
        """Return exit status, what was changed by key, and the errors."""
        if not self.source.exists():
            self.image.write()
        said, wrong = io.StringIO(), io.StringIO()
        wanted = [word for name in hardware for word in ('--hardware', name)]
        with (
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(wrong),
        ):
            status = cli.main(
                ['convert', str(self.source), str(self.output), '-O', 'raw']
                + ['-f', 'json', '--cache', str(self.cache)]
                + [*wanted, *words]
            )
        changes: dict[str, list[str]] = {}
        if said.getvalue():
            for one in json.loads(said.getvalue())['changes']:
                changes.setdefault(one['key'], []).append(one['what'])
        return status, changes, wrong.getvalue()

    def files(self) -> tree.Tree:
        files = volumes.read(self.output).volumes[0].files()
        assert files is not None
        return files

    def text(self, path: str) -> str:
        return tree.text(self.files(), path)

    def assert_again_nothing(self, *words: str, **names: tuple[str, ...]):
        """A second conversion finds nothing to change."""
        self.source, self.output = self.output, self.folder / 'again.raw'
        self.assertEqual({}, self.convert(*words, **names)[1])
        self.assertEqual(self.source.read_bytes(), self.output.read_bytes())

    def assert_sound(self) -> None:
        """The file system is what e2fsck takes for clean."""
        start = volumes.read(self.output).volumes[0].start_bytes
        process.run(
            ['e2fsck', '-f', '-n', f'{self.output}?offset={start}'],
            timeout_s=30,
        )
