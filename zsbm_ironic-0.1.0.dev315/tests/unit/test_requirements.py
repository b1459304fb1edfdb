# SPDX-License-Identifier: Apache-2.0
"""The lock pins everything that the package and its tests ask for."""

import configparser
import pathlib

import testtools
from packaging import requirements, utils, version

TOP = pathlib.Path(__file__).resolve().parents[2]
FILES = ('requirements.txt', 'test-requirements.txt', 'doc/requirements.txt')


def parsed(text: str) -> list[requirements.Requirement]:
    """Return the requirements of a file or an extra, comments left out."""
    lines = (line.partition(' #')[0].strip() for line in text.splitlines())
    return [
        requirements.Requirement(line)
        for line in lines
        if line and not line.startswith('#')
    ]


class ConstraintsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        pins = parsed((TOP / 'constraints.txt').read_text())
        self.pins = {
            utils.canonicalize_name(pin.name): next(iter(pin.specifier))
            for pin in pins
        }
        setup = configparser.ConfigParser()
        setup.read(TOP / 'setup.cfg')
        self.wanted = [
            one
            for text in (
                *((TOP / name).read_text() for name in FILES),
                *setup['extras'].values(),
            )
            for one in parsed(text)
        ]

    def test_every_requirement_is_pinned_within_its_range(self) -> None:
        for one in self.wanted:
            pin = self.pins.get(utils.canonicalize_name(one.name))
            self.assertIsNotNone(
                pin, f'{one.name}: renew as tools/constraints.in says'
            )
            self.assertTrue(
                one.specifier.contains(version.Version(pin.version)), one.name
            )

    def test_every_pin_is_exact(self) -> None:
        for name, pin in self.pins.items():
            self.assertEqual('==', pin.operator, name)
