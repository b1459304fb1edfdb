# SPDX-License-Identifier: Apache-2.0
"""A list of tests that do not pass is held against what came of them."""

import pathlib

import testtools

from tests.tempest import suite

KNOWN = suite.Known('TestNodesVif', 'Neutron is not', 'No Neutron here.')
VIF = 'api.admin.test_nodes.TestNodesVif.test_vif_attach'
OTHER = 'api.admin.test_nodes.TestNodes.test_show_node'


class ProblemsTest(testtools.TestCase):
    def problems(self, **outcomes):
        return suite.problems(
            {
                {'vif': VIF, 'other': OTHER}[name]: suite.Seen(*seen)
                for name, seen in outcomes.items()
            },
            [KNOWN],
        )

    def test_what_is_known_is_none(self):
        for outcome in (suite.SKIPPED, suite.FAILED):
            self.assertEqual(
                [],
                self.problems(
                    vif=(outcome, 'Neutron is not enabled.'),
                    other=(suite.PASSED,),
                ),
            )

    def test_one_that_passes_now(self):
        (told,) = self.problems(vif=(suite.PASSED,))
        self.assertIn(VIF, told)
        self.assertIn('Take it out of the list', told)

    def test_another_reason_than_the_list_has(self):
        (told,) = self.problems(vif=(suite.FAILED, 'No route to host'))
        self.assertIn('No route to host', told)

    def test_one_that_is_not_on_the_list(self):
        for outcome in (suite.SKIPPED, suite.FAILED):
            told = self.problems(
                vif=(suite.SKIPPED, 'Neutron is not enabled.'),
                other=(outcome, 'Neutron is not enabled.'),
            )
            self.assertEqual(1, len(told), told)
            self.assertIn(OTHER, told[0])

    def test_an_entry_without_a_test(self):
        (told,) = self.problems(other=(suite.PASSED,))
        self.assertIn('TestNodesVif', told)


class ListsTest(testtools.TestCase):
    def test_each_entry_has_its_reason(self):
        lists = sorted(pathlib.Path(suite.HERE).glob('api*.toml'))
        self.assertEqual(2, len(lists))
        for path in lists:
            for entry in suite.load(path):
                self.assertGreater(len(entry.reason), 20, entry)
                self.assertNotEqual('', entry.told, entry)
