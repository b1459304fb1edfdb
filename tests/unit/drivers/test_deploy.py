# SPDX-License-Identifier: Apache-2.0
"""Which ramdisks a conductor accepts."""

from oslotest import base

from zsbm_ironic.drivers import deploy
from zsbm_ironic.ramdisk import version

STOCK = {'generic_hardware_manager': '1.2'}


def ramdisk(in_band):
    return {**STOCK, version.MANAGER_NAME: in_band}


class Suitable(base.BaseTestCase):
    def test_this_release_accepts_its_own_ramdisk(self):
        self.assertIsNone(deploy.unsuitable(ramdisk(version.IN_BAND_VERSION)))

    def test_newer_ones(self):
        for newer in ('1.1', '1.10', '2.0', '1.0.1'):
            self.assertIsNone(deploy.unsuitable(ramdisk(newer)))

    def test_older_ones(self):
        for older in ('0.9', '0.10', '0'):
            self.assertIn(older, deploy.unsuitable(ramdisk(older)))

    def test_stock_ramdisks(self):
        for stock in (STOCK, {}):
            self.assertIn('stock', deploy.unsuitable(stock))

    def test_what_is_no_version(self):
        # The ramdisk says it, so it may say anything.
        for word in ('', 'new', '1..0', '1.0-rc1'):
            self.assertIn('not a version', deploy.unsuitable(ramdisk(word)))
