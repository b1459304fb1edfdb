# SPDX-License-Identifier: Apache-2.0
"""VM images on machines like servers: not without a conversion, with it.

A row an image. Each is started as it is where it must not come up, or must
come up without a network, as check says; converted once for SeaBIOS with SATA
and for OVMF with NVMe, and started there, with its network up under the name
that the image has for it; and once more as the VM that it was. Needs root for
the building of images.
"""

from tests.e2e import image_case


class VmImageTest(image_case.ImageCase):
    def test_debian12_mbr(self):
        self.shown('debian12-mbr')

    def test_debian12_uefi_only(self):
        self.shown('debian12-uefi-only', vm='vm-uefi')

    def test_debian12_sysvinit(self):
        self.shown('debian12-sysvinit')

    def test_debian12_four_primaries(self):
        self.shown('debian12-four-primaries')

    def test_debian13_dracut_bls(self):
        self.shown('debian13-dracut-bls')

    def test_debian12_cloud(self):
        self.shown('debian12-cloud')

    def test_debian13_cloud(self):
        # Its kernel has both disks' drivers, and those of no NIC.
        self.shown('debian13-cloud', worst='warn')

    def test_debian11_cloud(self):
        self.shown('debian11-cloud')

    def test_debian12_lvm(self):
        self.shown('debian12-lvm', guest=True)

    def test_debian12_btrfs(self):
        self.shown('debian12-btrfs', guest=True)

    def test_debian12_xfs_dracut(self):
        self.shown('debian12-xfs-dracut', guest=True)

    def test_debian13_xfs(self):
        self.shown('debian13-xfs', guest=True)

    def test_debian12_arm64(self):
        self.shown(
            'debian12-arm64', vm='vm-uefi-arm64', on=('uefi-nvme-arm64',)
        )
