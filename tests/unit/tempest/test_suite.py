# SPDX-License-Identifier: Apache-2.0
"""A list of tests that do not pass is held against what came of them."""

import io
import pathlib

import subunit
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


class CountedTest(testtools.TestCase):
    def counted(self, *events):
        """Return the outcomes of tests VIF and OTHER after some events."""
        stream = io.BytesIO()
        result = subunit.StreamResultToBytes(stream)
        for name in (VIF, OTHER):
            result.status(f'{suite.PACKAGE}{name}[id-1]', 'exists')
        for name, status, told in events:
            if told:
                result.status(
                    name,
                    file_name='reason',
                    file_bytes=told.encode(),
                    mime_type='text/plain; charset=utf8',
                )
            result.status(name, status)
        stream.seek(0)
        counted = suite.Counted()
        counted.read(stream)
        return counted.seen()

    def test_a_class_that_is_skipped_skips_its_tests(self):
        owner = f'{suite.PACKAGE}{VIF}'.rpartition('.')[0]
        seen = self.counted(
            (f'setUpClass ({owner})', 'skip', 'Neutron is not enabled.'),
            (f'{suite.PACKAGE}{OTHER}[id-1]', 'success', ''),
        )
        self.assertEqual(
            suite.Seen(suite.SKIPPED, 'Neutron is not enabled.'), seen[VIF]
        )
        self.assertEqual(suite.Seen(suite.PASSED), seen[OTHER])

    def test_one_that_was_never_run_has_failed(self):
        seen = self.counted()
        self.assertEqual(
            {suite.FAILED}, {one.outcome for one in seen.values()}
        )

    def test_a_class_that_leaves_something_behind(self):
        name = f'tearDownClass ({suite.PACKAGE}api.admin.TestNodes)'
        seen = self.counted((name, 'fail', 'still locked'))
        self.assertEqual(suite.FAILED, seen[name].outcome)
        self.assertIn(name, ' '.join(suite.problems(seen, [])))


class ListsTest(testtools.TestCase):
    def test_each_entry_has_its_reason(self):
        lists = sorted(pathlib.Path(suite.HERE).glob('api*.toml'))
        self.assertEqual(2, len(lists))
        for path in lists:
            for entry in suite.load(path):
                self.assertGreater(len(entry.reason), 20, entry)
                self.assertNotEqual('', entry.told, entry)
