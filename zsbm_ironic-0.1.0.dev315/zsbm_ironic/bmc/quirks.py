# SPDX-License-Identifier: Apache-2.0
"""What single makers' BMCs do differently over IPMI: data, no code.

A quirk is an entry of `QUIRKS` with its source; `doc/source/contributor/
add-bmc-quirk.rst` shows how, and a test sends each of them to a real BMC.
Redfish quirks are upstream's, whose interfaces do the writing.
"""

import dataclasses
from collections.abc import Mapping

from zsbm_ironic.bmc import base


@dataclasses.dataclass(frozen=True)
class Quirk:
    """How the BMCs of one maker differ from the specification.

    :ivar maker: `properties/vendor` of the node in lower case, as
        `detect_vendor` stores it.
    :ivar why: what was observed, and where it is written.
    :ivar efi_boot_devices: boot flag selectors (data 2 of table 28-14, bits
        5:2 in place) for a machine that boots by UEFI.
    :ivar bios_boot_devices: the same for one that boots by BIOS.
    :ivar keeps_boot_flags: the BMC never forgets boot flags after 60 s and
        refuses to be told so.
    """

    maker: str
    why: str
    efi_boot_devices: Mapping[base.BootDevice, int] = dataclasses.field(
        default_factory=dict
    )
    bios_boot_devices: Mapping[base.BootDevice, int] = dataclasses.field(
        default_factory=dict
    )
    keeps_boot_flags: bool = False

    def boot_devices(self, efi: bool) -> Mapping[base.BootDevice, int]:
        """Return the selectors that differ for this kind of boot."""
        return self.efi_boot_devices if efi else self.bios_boot_devices


NONE = Quirk('', 'As the specification says.')

QUIRKS = (
    Quirk(
        'supermicro',
        'A UEFI hard disk is the remote-media selector: Supermicro FAQ 25559.',
        efi_boot_devices={base.BootDevice.DISK: 0x24},
    ),
)


def of(maker: str) -> Quirk:
    """Return a maker's quirk, or one that changes nothing."""
    wanted = maker.lower()
    return next((one for one in QUIRKS if one.maker == wanted), NONE)
