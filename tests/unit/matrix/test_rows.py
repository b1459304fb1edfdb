# SPDX-License-Identifier: Apache-2.0
"""Rows of the matrix: names and choosing."""

import pathlib

import testtools

from tests.matrix import checks, parts, rows


class RowsTest(testtools.TestCase):
    def test_end_to_end_test_is_a_row_of_its_module(self) -> None:
        row = rows.of_test('tests.e2e.test_faults.FaultsTest.test_bmc_off')
        self.assertEqual('faults/bmc_off', row.title)

    def test_modules_of_a_folder_are_one_group(self) -> None:
        row = rows.of_test('tests.e2e.cloud.test_links.LinksTest.test_bond')
        self.assertEqual('cloud/bond', row.title)

    def test_a_test_of_a_fleet_is_a_row_in_full_size(self) -> None:
        found = {row.title: row for row in rows.every()}
        soak = found['fleet/a_day']
        self.assertEqual('14400', dict(soak.env)['ZSBM_FLEET_ROUNDS'])

    def test_group_chooses_all_its_rows(self) -> None:
        some = [
            rows.of_test('tests.e2e.test_faults.FaultsTest.test_bmc_off'),
            rows.of_test('tests.e2e.test_faults.FaultsTest.test_no_image'),
            rows.of_test('tests.e2e.test_cycle.CycleTest.test_uefi'),
        ]
        titles = [row.title for row in rows.chosen(some, ['faults'])]
        self.assertEqual(['faults/bmc_off', 'faults/no_image'], titles)
        titles = [row.title for row in rows.chosen(some, ['cycle/uefi'])]
        self.assertEqual(['cycle/uefi'], titles)
        both = rows.chosen(some, ['cycle', 'faults/no_image', 'cycle/uefi'])
        self.assertEqual(
            ['cycle/uefi', 'faults/no_image'], [row.title for row in both]
        )
        self.assertEqual(some, rows.chosen(some, []))

    def test_unknown_row_is_an_error_that_names_the_groups(self) -> None:
        some = [rows.of_test('tests.e2e.test_cycle.CycleTest.test_uefi')]
        error = self.assertRaises(ValueError, rows.chosen, some, ['cycles'])
        self.assertIn('the groups are cycle', str(error))

    def test_tests_are_those_that_the_runner_finds(self) -> None:
        read = [
            test_id
            for folder in (rows.E2E, rows.FLEET)
            for path in rows._modules(folder)
            for test_id in rows.tests_in(path)
        ]
        listed = [
            *checks.list_tests(rows.E2E),
            *checks.list_tests(rows.FLEET),
        ]
        self.assertEqual(sorted(listed), sorted(read))
        for folder, group in (
            (rows.FUNCTIONAL, 'functional'),
            (rows.DEVSTACK, 'devstack'),
        ):
            modules = {
                test_id.rsplit('.', 2)[0].rpartition('.test_')[2]
                for test_id in checks.list_tests(folder)
            }
            found = {row.name for row in rows.every() if row.group == group}
            self.assertEqual(modules, found)

    def test_profiles_of_all_parts_are_in_bindep(self) -> None:
        text = pathlib.Path(rows.checks.TOP, 'bindep.txt').read_text()
        for part in parts.PARTS:
            for profile in part.profiles:
                self.assertRegex(text, rf'platform:dpkg.* {profile}\b')
