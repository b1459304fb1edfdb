# SPDX-License-Identifier: Apache-2.0
"""Enrolment and `manage` through the API of a real Ironic."""

from tests import bmcs
from tests.functional import ironic_service


class TestManage(ironic_service.TestCase):
    def test_ipmi(self):
        bmc = self.useFixture(bmcs.PyghmiBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        found = self.manage(node)
        self.assertEqual('power off', found.power_state)

    def test_redfish(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        node = self.enrol('zsbm', bmc.driver_info())
        found = self.manage(node)
        self.assertEqual('power off', found.power_state)
