# SPDX-License-Identifier: Apache-2.0
"""Result files and the hash that decides whether they still stand."""

import pathlib

import fixtures
import testtools

from tests.matrix import checks, results
from zsbm_ironic.common import process


class TreeHashTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.top = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        process.run(['git', 'init', '-q', self.top], timeout_s=30)
        self._write('zsbm_ironic/x.py', 'one\n')
        self.first = results.tree_hash(top=self.top)

    def _write(self, name: str, text: str) -> None:
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_changed_code_changes_the_hash(self) -> None:
        self._write('zsbm_ironic/x.py', 'two\n')
        self.assertNotEqual(self.first, results.tree_hash(top=self.top))

    def test_new_file_and_run_bit_change_the_hash(self) -> None:
        self._write('tools/test', '')
        second = results.tree_hash(top=self.top)
        self.assertNotEqual(self.first, second)
        (self.top / 'tools/test').chmod(0o755)
        self.assertNotEqual(second, results.tree_hash(top=self.top))

    def test_committing_does_not_change_the_hash(self) -> None:
        process.run(['git', 'add', '.'], timeout_s=30, cwd=self.top)
        self.assertEqual(self.first, results.tree_hash(top=self.top))

    def test_documentation_and_results_do_not_change_the_hash(self) -> None:
        self._write('README.rst', 'x')
        self._write('doc/source/index.rst', 'x')
        self._write('releasenotes/notes/a.yaml', 'x')
        self._write('tests/results/checks/unit.json', '{}')
        self._write('benchmarks/results/deploy.json', '{}')
        self.assertEqual(self.first, results.tree_hash(top=self.top))

    def test_ignored_file_does_not_change_the_hash(self) -> None:
        self._write('.gitignore', 'build/\n')
        second = results.tree_hash(top=self.top)
        self._write('build/x', 'x')
        self.assertEqual(second, results.tree_hash(top=self.top))


class ResultTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def _state(self, tree: str = 'a', **outcome: int) -> results.State:
        result = results.Result.of('a', checks.Outcome(**outcome))
        results.write('cycle', 'uefi', result, self.folder)
        return results.state('cycle', 'uefi', tree, self.folder)

    def test_row_never_run_is_missing(self) -> None:
        self.assertEqual(
            results.State.MISSING,
            results.state('cycle', 'uefi', 'a', self.folder),
        )

    def test_row_of_other_code_is_stale(self) -> None:
        self.assertEqual(results.State.STALE, self._state('b', passed=1))

    def test_row_that_passed_is_green(self) -> None:
        self.assertEqual(results.State.GREEN, self._state(passed=1))

    def test_row_with_a_failure_is_failed(self) -> None:
        self.assertEqual(results.State.FAILED, self._state(passed=1, failed=1))

    def test_row_that_only_skipped_is_failed(self) -> None:
        self.assertEqual(results.State.FAILED, self._state(skipped=1))

    def test_figures_come_back_from_the_file(self) -> None:
        outcome = checks.Outcome(passed=1, figures={'boot_s': 41.5})
        results.write(
            'cycle', 'bios', results.Result.of('a', outcome), self.folder
        )
        again = results.read('cycle', 'bios', self.folder)
        self.assertEqual({'boot_s': 41.5}, again and again.figures)
