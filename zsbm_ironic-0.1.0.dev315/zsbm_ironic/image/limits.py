# SPDX-License-Identifier: Apache-2.0
"""How much a program may take that reads something hostile.

A broken file system may make its reader loop, or ask for all memory.
"""

from zsbm_ironic.common import process

READ_S = 30.0
WRITE_S = 120.0
READER = process.Limits(address_space_bytes=1 << 30, cpu_s=20)
# qemu-img of a whole image; nova and glance allow it the same memory.
CONVERT_S = 1800.0
CONVERTER = process.Limits(address_space_bytes=2 << 30, cpu_s=900)
