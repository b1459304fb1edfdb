# SPDX-License-Identifier: Apache-2.0
"""Counting: what is reported is what the tests really did."""

import io
import pathlib
import sys
import time

import fixtures
import testtools

from tests.matrix import checks


class CountingTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.output = io.StringIO()
        self.useFixture(fixtures.MonkeyPatch('sys.stdout', self.output))

    def _counts(self, check: checks.Command | checks.Tests) -> list[int]:
        outcome = check.run(120, {})
        return [outcome.passed, outcome.failed, outcome.skipped]

    def test_each_outcome_of_a_stestr_run_is_counted(self) -> None:
        self.assertEqual(
            [1, 1, 1], self._counts(checks.Tests('tests/specimen'))
        )
        self.assertIn(
            'test_outcomes.Outcomes.test_fails', self.output.getvalue()
        )
        self.assertIn('MismatchError', self.output.getvalue())

    def test_what_the_include_list_leaves_out_is_skipped(self) -> None:
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'list')
        path.write_text('test_passes$\n')
        self.assertEqual(
            [1, 0, 2],
            self._counts(checks.Tests('tests/specimen', include=str(path))),
        )

    def test_what_the_exclude_list_leaves_out_is_skipped(self) -> None:
        path = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'list')
        path.write_text('test_fails$\n')
        self.assertEqual(
            [1, 0, 2],
            self._counts(checks.Tests('tests/specimen', exclude=str(path))),
        )

    def test_run_without_any_test_failed(self) -> None:
        self.assertEqual(
            [0, 1, 0], self._counts(checks.Tests('tests/specimen', 'no_such'))
        )

    def test_command_is_one_test(self) -> None:
        argv = (sys.executable, '-c', 'raise SystemExit(0)')
        self.assertEqual([1, 0, 0], self._counts(checks.Command('ok', argv)))

    def test_output_of_a_failed_command_is_shown(self) -> None:
        argv = (sys.executable, '-c', 'raise SystemExit("not so")')
        self.assertEqual([0, 1, 0], self._counts(checks.Command('bad', argv)))
        self.assertIn('not so', self.output.getvalue())

    def test_missing_program_is_a_failed_test(self) -> None:
        self.assertEqual(
            [0, 1, 0],
            self._counts(checks.Command('none', ('/nonexistent/program',))),
        )

    def test_command_over_its_limit_is_ended(self) -> None:
        argv = (sys.executable, '-c', 'import time; time.sleep(60)')
        began = time.monotonic()
        outcome = checks.Command('slow', argv).run(1, {})
        self.assertEqual((0, 1), (outcome.passed, outcome.failed))
        self.assertLess(time.monotonic() - began, 30)

    def test_what_it_started_in_another_session_is_ended_too(self) -> None:
        pids = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'pid')
        script = (
            'import subprocess, sys, time\n'
            "child = subprocess.Popen(['sleep', '60'], "
            'start_new_session=True)\n'
            "open(sys.argv[1], 'w').write(str(child.pid))\n"
            'time.sleep(60)\n'
        )
        argv = (sys.executable, '-c', script, str(pids))
        checks.Command('slow', argv).run(2, {})
        state = pathlib.Path(f'/proc/{pids.read_text()}/stat')
        deadline = time.monotonic() + 10
        while state.exists() and ' Z ' not in state.read_text():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)
