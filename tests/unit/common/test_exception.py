# SPDX-License-Identifier: Apache-2.0
"""Every error renders, and says to a person what STYLE asks for."""

import re
import string

import testtools

from zsbm_ironic.common import exception


def every(base: type[exception.ZsbmError]) -> list[type[exception.ZsbmError]]:
    """Return all classes below `base` in this package."""
    found = []
    for cls in base.__subclasses__():
        found += [cls, *every(cls)]
    return [cls for cls in found if cls.__module__ == exception.__name__]


CATEGORIES = (exception.Retry, exception.FixSettings, exception.GiveUp)


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

    def test_messages_differ(self) -> None:
        templates = [cls.template for cls in self.classes]
        self.assertEqual(len(templates), len(set(templates)))

    def test_error_without_a_field_of_its_template_is_a_bug(self) -> None:
        self.assertRaises(KeyError, exception.ProcessTimedOut, program='x')
