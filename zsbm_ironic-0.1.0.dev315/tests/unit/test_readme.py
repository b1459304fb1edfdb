# SPDX-License-Identifier: Apache-2.0
"""From the README every room is one step away, and no step leads nowhere."""

import configparser
import pathlib
import re

import testtools

TOP = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r'`[^`<]+<([^>]+)>`_', re.S)
NOT_NAMED = {'pbr', 'cryptography', 'requests', 'oslo.upgradecheck'}


class ReadmeTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.text = (TOP / 'README.rst').read_text()
        self.links = set(LINK.findall(self.text))

    def test_every_link_leads_somewhere(self) -> None:
        self.assertNotEqual(set(), self.links)
        for link in self.links:
            self.assertTrue((TOP / link).exists(), link)

    def test_every_room_is_linked(self) -> None:
        for path in (TOP / 'zsbm_ironic').iterdir():
            if (path / '__init__.py').exists():
                self.assertIn(f'zsbm_ironic/{path.name}', self.links)

    def test_every_dependency_has_its_reason(self) -> None:
        setup = configparser.ConfigParser()
        setup.read(TOP / 'setup.cfg')
        lines = ''.join(setup['extras'].values()).splitlines()
        lines += (TOP / 'requirements.txt').read_text().splitlines()
        names = {
            re.split(r'[<>=\s]', line)[0]
            for line in lines
            if line and not line.startswith('#')
        }
        table = self.text.partition('What it stands on')[2]
        missing = {name for name in names if name not in table} - NOT_NAMED
        self.assertEqual(set(), missing)
