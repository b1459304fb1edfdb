# SPDX-License-Identifier: Apache-2.0
"""Every error renders, and says to a person what STYLE asks for."""

import importlib
import pathlib
import re
import string
import sys

import testtools

import zsbm_ironic
from zsbm_ironic.common import exception

# Common's, and those of rooms that have errors of their own.
MODULES = [
    importlib.import_module(f'zsbm_ironic.{path.parent.name}.exception')
    for path in pathlib.Path(zsbm_ironic.__file__).parent.glob(
        '*/exception.py'
    )
]
CATEGORIES = (exception.Retry, exception.FixSettings, exception.GiveUp)


def every(base: type[exception.ZsbmError]) -> list[type[exception.ZsbmError]]:
    """Return all classes below `base`, whichever module they are in."""
    found = []
    for cls in base.__subclasses__():
        found += [cls, *every(cls)]
    return found


class ExceptionTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.classes = [
            cls for cls in every(exception.ZsbmError) if cls not in CATEGORIES
        ]

    def test_every_error_renders_from_its_example(self) -> None:
        for cls in self.classes:
            text = str(cls(**cls.EXAMPLE))
            self.assertNotIn('{', text.replace('{}', ''), cls.__name__)
            for value in cls.EXAMPLE.values():
                self.assertIsNotNone(value, cls.__name__)

    def test_example_has_exactly_the_fields_of_the_template(self) -> None:
        for cls in self.classes:
            parsed = string.Formatter().parse(cls.template)
            fields = {
                re.split(r'[.\[]', one[1])[0] for one in parsed if one[1]
            }
            self.assertEqual(fields, set(cls.EXAMPLE), cls.__name__)

    def test_every_error_says_what_the_caller_should_do(self) -> None:
        for cls in self.classes:
            kinds = [kind for kind in CATEGORIES if issubclass(cls, kind)]
            self.assertEqual(1, len(kinds), cls.__name__)

    def test_every_error_is_explained(self) -> None:
        for cls in self.classes:
            self.assertTrue(cls.__doc__, cls.__name__)
            self.assertNotIn(
                cls.__doc__, {kind.__doc__ for kind in CATEGORIES}
            )

    def test_every_error_is_in_the_tree_of_its_module(self) -> None:
        self.assertLess(1, len(MODULES))
        for cls in self.classes:
            module = sys.modules[cls.__module__]
            self.assertIn(module, MODULES, cls.__name__)
            self.assertRegex(module.__doc__ or '', rf'\b{cls.__name__}\b')

    def test_messages_differ(self) -> None:
        # A narrower error may say what the wider one says.
        templates = [
            cls.template for cls in self.classes if 'template' in vars(cls)
        ]
        self.assertEqual(len(templates), len(set(templates)))

    def test_error_without_a_field_of_its_template_is_a_bug(self) -> None:
        self.assertRaises(KeyError, exception.ProcessTimedOut, program='x')
