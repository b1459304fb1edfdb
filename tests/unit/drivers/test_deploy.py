# SPDX-License-Identifier: Apache-2.0
"""Which ramdisks a conductor accepts."""

import types

from oslotest import base

from zsbm_ironic.drivers import deploy, remedies
from zsbm_ironic.ramdisk import version

STOCK = {'generic_hardware_manager': '1.2'}


def ramdisk(in_band):
    return {**STOCK, version.MANAGER_NAME: in_band}


class Suitable(base.BaseTestCase):
    def test_this_release_accepts_its_own_ramdisk(self):
        self.assertIsNone(deploy.unsuitable(ramdisk(version.IN_BAND_VERSION)))

    def test_newer_ones(self):
        for newer in ('1.3', '1.10', '2.0', '1.2.1'):
            self.assertIsNone(deploy.unsuitable(ramdisk(newer)))

    def test_older_ones(self):
        for older in ('1.1', '1.0', '0.10', '0'):
            self.assertIn(older, deploy.unsuitable(ramdisk(older)))

    def test_stock_ramdisks(self):
        for stock in (STOCK, {}):
            self.assertIn('stock', deploy.unsuitable(stock))

    def test_what_is_no_version(self):
        # The ramdisk says it, so it may say anything.
        for word in ('', 'new', '1..0', '1.0-rc1'):
            self.assertIn('not a version', deploy.unsuitable(ramdisk(word)))


class FromAVolume(base.BaseTestCase):
    def test_no_ramdisk_is_asked_that_was_not_booted(self):
        storage = types.SimpleNamespace(should_write_image=lambda _task: False)
        task = types.SimpleNamespace(
            shared=False, driver=types.SimpleNamespace(storage=storage)
        )
        check = deploy.ZsbmDeploy.check_network.__wrapped__
        self.assertIsNone(check(deploy.ZsbmDeploy(), task))


class Remedies(base.BaseTestCase):
    def test_the_words_of_the_agent_and_of_the_kernel(self):
        for message, word in (
            ('Error verifying image checksum: Image failed', 'image_checksum'),
            (
                'Download of image i failed: Unable to write image to device '
                '/dev/sda. Error: [Errno 28] No space left on device',
                'larger disk',
            ),
            (
                'Unable to write image to /tmp/i. Error: [Errno 28] No space '
                'left on device',
                'image_download_source',
            ),
            ('No suitable device was found for deployment', 'root_device'),
            (
                'No suitable device was found for deployment - root device '
                'hints were not provided and all found block devices are '
                'smaller than 4294967296B.',
                'use a larger disk',
            ),
            ('Error downloading image: Download of image i', 'image_source'),
            ('No partitions found on the device /dev/sda', 'whole-disk'),
        ):
            self.assertIn(word, remedies.remedy_for(message))

    def test_what_nobody_knows_gets_no_remedy(self):
        self.assertIsNone(remedies.remedy_for('The dog ate it'))


class Secrets(base.BaseTestCase):
    def test_login_and_signature_are_not_repeated(self):
        self.assertEqual(
            'https://images.example.org/d.raw',
            deploy._without_secrets(
                'https://me:pw@images.example.org/d.raw?Signature=abc'
            ),
        )
