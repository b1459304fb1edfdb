# SPDX-License-Identifier: Apache-2.0
"""Makes the OS on a disk boot on given hardware, or says why it cannot.

hardware
    What a server is made of: firmware, disk controller, NICs.
inventory
    The hardware of a node, as Ironic keeps it.
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
firmware_files
    What firmware starts by itself, and whether a disk has it.
verdict
    What all this means on the hardware.
verdicts
    The same, kept for a conductor.
adapt, editing
    Mends what a verdict finds: the order of things, and their report.
by_uuid, early_drivers, nic_names
    File systems by UUID, drivers in the initramfs, NICs by MAC.
identity
    What two servers of one image must not share.
kits, hardware_kernel
    A kernel with drivers of servers, for an image that has none.
boot_loader, bios_grub, loaders, partitions, part_files
    ESP and GRUB for the other firmware, and room for them on the disk.
supplies
    Where boot loaders and kernels come from.
mounted
    Files written by a kernel that may be lost.
convert, micro_vm, inside
    A copy of an image, adapted here, or in a machine of its own.
twin, rehearse, consoles
    A boot on a machine that is like a server.
newc, frames
    Archives of an initramfs, and where compressed ones end.
cli, options
    `zsbm-image`.
exception
    What can go wrong.

An image is hostile until checked: no code of it runs, no path of it leaves
it, and every program that reads it has limits.
"""
