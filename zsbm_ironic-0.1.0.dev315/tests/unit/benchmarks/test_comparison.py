# SPDX-License-Identifier: Apache-2.0
"""Ratios are of pairs, and a verdict needs every pair."""

import testtools

from benchmarks import comparison


def run(stack, seconds):
    return comparison.Run(
        stack=stack,
        phases_s=dict.fromkeys(
            (*comparison.PHASES, comparison.TOTAL), seconds
        ),
        idle_s=0.0,
        cpu_s={'ironic': 1.0, 'boot service': 1.0, 'server': 1.0},
        peak_bytes={'ironic': 10**6, 'boot service': 10**6},
        sent_bytes=10**6,
    )


def total(*pairs):
    runs = []
    for stock, ours in pairs:
        runs += [run('stock', stock), run('zsbm', ours)]
    (row,) = [row for row in comparison.table(runs) if row[0] == 'total (s)']
    return row[1:]


class ComparisonTest(testtools.TestCase):
    def test_faster(self):
        self.assertEqual(
            ['100.0', '90.0', '0.90', '0.90 - 0.90', ''], total((100, 90))
        )

    def test_slower_in_every_pair(self):
        self.assertEqual('slower', total((100, 110), (50, 60), (80, 81))[-1])

    def test_slower_in_some_pairs_only(self):
        self.assertEqual('', total((100, 110), (50, 60), (80, 79))[-1])

    def test_slower_by_less_than_the_noise(self):
        self.assertEqual('', total((100, 104), (100, 103))[-1])

    def test_ratio_is_the_median_of_the_pairs(self):
        row = total((100, 50), (200, 180), (10, 10))
        self.assertEqual(['100.0', '50.0', '0.90', '0.50 - 1.00', ''], row)

    def test_what_upstream_does_not_wait_has_no_ratio(self):
        runs = [run('stock', 1), run('zsbm', 1)]
        (row,) = [
            row for row in comparison.table(runs) if row[0].startswith('idle')
        ]
        self.assertEqual(['0.0', '0.0', '', '', ''], row[1:])
