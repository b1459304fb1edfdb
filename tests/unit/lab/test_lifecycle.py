# SPDX-License-Identifier: Apache-2.0
"""Which kinds of lab there are."""

import testtools

from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import lifecycle


class PlanTest(testtools.TestCase):
    def test_a_group_for_a_second_conductor_that_is_not_there(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            lifecycle.Plan,
            second_group='deploy',
        )
        self.assertIn('--conductors 2', str(error))

    def test_upstream_s_way_has_one_conductor(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            lifecycle.Plan,
            stack='stock',
            conductors=2,
        )
        self.assertIn('one conductor', str(error))
