# SPDX-License-Identifier: Apache-2.0
"""Makes the OS on a disk boot on given hardware, or says why it cannot.

hardware
    What a server is made of: firmware, disk controller, NICs.
source
    An image file, safe to be read: its format, its size, raw access to it.
volumes
    Partitions, logical volumes and what is on each.
tree, ext, grub_tree, joined
    Files of an image, read in user space: nothing is mounted.
modules, initramfs
    Which drivers a kernel has, which of them its initramfs.
menu, system
    What would boot, and the OS that it is.
verdict
    What all this means on the hardware.
cli
    `zsbm-image`.
exception
    What can go wrong.

An image is hostile until checked: no code of it runs, no path of it leaves
it, and every program that reads it has limits.
"""
