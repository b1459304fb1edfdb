# SPDX-License-Identifier: Apache-2.0
"""The version of what runs in the ramdisk, and how a conductor compares it.

Read by the hardware manager, which reports it, and by the deploy interface,
which compares it with what it needs. It counts changes of the in-band steps
and their arguments, not releases of the package: a ramdisk is rebuilt when a
conductor needs something new of it, not at every upgrade.

1.0
    Reports its version; adds a boot report to the logs of a ramdisk.
1.1
    Step adapt_image, with GRUB, shim and mtools in the ramdisk; inspection
    keeps what an image is judged by.
1.2
    Step check_network; inspection keeps LLDP that was heard.
"""

MANAGER_NAME = 'zsbm'
IN_BAND_VERSION = '1.2'
# Of the plugin data of an inventory: what was seen of the network.
NETWORK_KEY = 'zsbm_network'


def parse(text: str) -> tuple[int, ...]:
    """Return '1.10' as (1, 10), so that it compares above '1.9'.

    :raises ValueError: `text` is not numbers joined by dots.
    """
    return tuple(int(part) for part in text.split('.'))
