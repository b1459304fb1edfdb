# SPDX-License-Identifier: Apache-2.0
"""Two of the images of test_image, each in one place: what CI has time for."""

from tests.e2e import image_case


class ImageSampleTest(image_case.ImageCase):
    def test_from_user_space(self):
        self.shown('debian12-mbr', on=('uefi-nvme',), vm=None)

    def test_by_a_machine_of_its_own(self):
        self.shown('debian12-btrfs', on=('bios-sata',), vm=None, guest=True)
