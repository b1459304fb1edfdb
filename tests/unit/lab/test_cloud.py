# SPDX-License-Identifier: Apache-2.0
"""What a cloud of the lab is made of; a whole one is in tests/e2e."""

import importlib.resources
import pathlib
import re
import stat

import fixtures
import testtools

from zsbm_ironic.lab.cloud import passwords, world

ROOM = importlib.resources.files('zsbm_ironic.lab.cloud')
PIN = re.compile(r'^([A-Za-z0-9._-]+)==[\w.!+-]+')


def _pinned(name: str) -> set[str]:
    lines = ROOM.joinpath(name).read_text().splitlines()
    found = (PIN.match(line) for line in lines)
    return {re.sub(r'[-_.]+', '-', one[1]).lower() for one in found if one}


class LockTest(testtools.TestCase):
    def test_all_is_pinned(self) -> None:
        text = ROOM.joinpath('requirements.txt').read_text()
        lines = [
            line
            for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith('#')
        ]
        self.assertEqual(len(lines), len(_pinned('requirements.txt')))

    def test_what_was_asked_for_is_in_it(self) -> None:
        asked = _pinned('requirements.in')
        self.assertIn('nova', asked)
        self.assertLessEqual(asked, _pinned('requirements.txt'))


class PasswordsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.path = pathlib.Path(folder, 'passwords.json')

    def test_each_has_one_of_its_own_and_keeps_it(self) -> None:
        first = passwords.load(self.path, world.PASSWORDS)
        self.assertEqual(len(first), len(set(first.values())))
        again = passwords.load(self.path, [*world.PASSWORDS, 'another'])
        self.assertEqual(first, {name: again[name] for name in first})
        self.assertIn('another', again)

    def test_nobody_else_reads_them(self) -> None:
        passwords.load(self.path, ['admin'])
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))
