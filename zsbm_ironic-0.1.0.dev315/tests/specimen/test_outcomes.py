# SPDX-License-Identifier: Apache-2.0
"""One test of each outcome, for the tests of tests/matrix to count."""

import testtools


class Outcomes(testtools.TestCase):
    def test_passes(self) -> None:
        self.assertEqual(4, 2 + 2)

    def test_fails(self) -> None:
        self.assertEqual(5, 2 + 2)

    def test_is_skipped(self) -> None:
        self.skipTest('to be counted as skipped')
