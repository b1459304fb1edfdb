# SPDX-License-Identifier: Apache-2.0
"""What the package announces to others is there."""

import importlib.metadata

import ironic_python_agent.config  # noqa: F401 - options of hardware managers
import testtools


class EntryPointsTest(testtools.TestCase):
    def test_every_entry_point_loads(self) -> None:
        points = importlib.metadata.distribution('zsbm-ironic').entry_points
        self.assertNotEqual(0, len(points))
        for point in points:
            with self.subTest(point.name):
                self.assertTrue(callable(point.load()), point.value)
