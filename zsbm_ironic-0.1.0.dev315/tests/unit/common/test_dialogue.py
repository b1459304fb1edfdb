# SPDX-License-Identifier: Apache-2.0
"""A program that is asked again and again."""

import pathlib
import sys

import testtools

from zsbm_ironic.common import exception, process

# Says what it was asked, much or nothing, and marks the end of each answer.
PROGRAM = """
import sys, time
for line in sys.stdin:
    word, _, mark = line.strip().partition(' ')
    if word == 'end':
        sys.exit('gone')
    if word == 'sleep':
        time.sleep(60)
    sys.stdout.write(word * (200_000 if word == 'much' else 1))
    sys.stdout.flush()
    sys.stderr.write(f'wrong {mark}\\n')
    sys.stderr.flush()
"""


class DialogueTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.program = process.Dialogue([sys.executable, '-c', PROGRAM])
        self.addCleanup(self.program.close)

    def ask(self, word: str, mark: str, timeout_s: float = 30) -> str:
        said, wrong = self.program.ask(
            f'{word} {mark}\n', until=mark, timeout_s=timeout_s
        )
        self.assertIn(f'wrong {mark}', wrong)
        return said

    def test_one_answer_after_the_other(self) -> None:
        self.assertEqual('first', self.ask('first', 'm1'))
        self.assertEqual('much' * 200_000, self.ask('much', 'm2'))
        self.assertEqual('last', self.ask('last', 'm3'))

    def test_it_ends_instead(self) -> None:
        error = self.assertRaises(
            exception.ProcessFailed, self.ask, 'end', 'm1'
        )
        self.assertIn('gone', str(error))
        self.assertRaises(exception.ProcessFailed, self.ask, 'more', 'm2')

    def test_it_takes_too_long(self) -> None:
        self.assertRaises(
            exception.ProcessTimedOut, self.ask, 'sleep', 'm1', 0.5
        )
        self.assertRaises(exception.ProcessFailed, self.ask, 'more', 'm2')

    def test_it_goes_with_its_object(self) -> None:
        self.ask('first', 'm1')
        folder = pathlib.Path('/proc', str(self.program._child.pid))
        self.assertTrue(folder.exists())
        self._cleanups.clear()
        del self.program
        self.assertFalse(folder.exists())

    def test_there_is_none(self) -> None:
        self.assertRaises(
            exception.ProcessFailed, process.Dialogue, ['/nowhere/program']
        )
