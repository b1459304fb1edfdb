# SPDX-License-Identifier: Apache-2.0
"""Boot menus of VM images: grub.cfg, grubenv and BLS entries as texts.

Called by `bootloader`. Pure: no file is read or written here.
"""

from zsbm_ironic.lab.vm_images import plan, specimens

# Size of grubenv: GRUB writes in place and must find it all (grub manual,
# "The GRUB environment block").
_GRUBENV_BYTES = 1024
_ETH0 = 'net.ifnames=0 biosdevname=0'


def kernel_arguments(
    specimen: specimens.Specimen, identity: plan.Identity
) -> str:
    """Return the kernel command line."""
    root = plan.reference(specimen, identity, plan.Use.ROOT)
    words = [f'root={root}', 'ro']
    if specimen.filesystem is specimens.Filesystem.BTRFS:
        words.append(f'rootflags=subvol={plan.SUBVOLUME}')
    return ' '.join([*words, *_common(specimen)])


def _common(specimen: specimens.Specimen) -> list[str]:
    words = [f'console={specimen.console},115200']
    if specimen.network is specimens.Network.ETH0:
        words.insert(0, _ETH0)
    return words


def prefix(specimen: specimens.Specimen) -> str:
    """Return what comes before the kernel's name in GRUB's file system."""
    if specimen.separate_boot:
        return ''
    if specimen.filesystem is specimens.Filesystem.BTRFS:
        return f'/{plan.SUBVOLUME}/boot'
    return '/boot'


def boot_use(specimen: specimens.Specimen) -> plan.Use:
    """Return which partition has the kernel."""
    return plan.Use.BOOT if specimen.separate_boot else plan.Use.ROOT


def pointer(specimen: specimens.Specimen, identity: plan.Identity) -> str:
    """Return the few lines by which GRUB finds its menu.

    They are GRUB's early configuration on BIOS and a file of the ESP on UEFI.
    """
    return (
        f'search.fs_uuid {identity.of(boot_use(specimen))} root\n'
        f"set prefix=($root)'{prefix(specimen)}/grub'\n"
    )


def grub_cfg(
    specimen: specimens.Specimen, identity: plan.Identity, version: str
) -> str:
    """Return the menu as grub-mkconfig leaves it, in short."""
    bls = specimen.menu is specimens.Menu.BLS
    arguments = (
        '${kernelopts}' if bls else kernel_arguments(specimen, identity)
    )
    folder = prefix(specimen)
    boot_uuid = identity.of(boot_use(specimen))
    lines = [
        'if [ -s $prefix/grubenv ]; then',
        '  load_env',
        'fi',
        'set default="0"',
        'set timeout=0',
        'if [ "$grub_platform" = pc ]; then',
        '  serial --unit=0 --speed=115200',
        '  terminal_input serial',
        '  terminal_output serial',
        'fi',
        "menuentry 'Debian GNU/Linux' --class debian --class os {",
        f'  search --no-floppy --fs-uuid --set=root {boot_uuid}',
        f'  linux {folder}/vmlinuz-{version} {arguments}',
        f'  initrd {folder}/initrd.img-{version}',
        '}',
    ]
    return '\n'.join(lines) + '\n'


def default_grub(specimen: specimens.Specimen) -> str:
    """Return /etc/default/grub, which grub-mkconfig reads."""
    words = ' '.join(_common(specimen))
    text = (
        'GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_DISTRIBUTOR=Debian\n'
        f'GRUB_CMDLINE_LINUX_DEFAULT=""\nGRUB_CMDLINE_LINUX="{words}"\n'
        'GRUB_TERMINAL=serial\n'
        'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n'
    )
    if specimen.root_by is specimens.RootBy.DEVICE:
        text += 'GRUB_DISABLE_LINUX_UUID=true\n'
    return text


def bls_entry(specimen: specimens.Specimen, version: str) -> str:
    """Return an entry of /boot/loader/entries, as Fedora's have it."""
    folder = prefix(specimen)
    return (
        f'title Debian GNU/Linux ({version})\n'
        f'version {version}\n'
        f'linux {folder}/vmlinuz-{version}\n'
        f'initrd {folder}/initrd.img-{version}\n'
        'options $kernelopts\n'
        'grub_users $grub_users\n'
        'grub_arg --unrestricted\n'
        'grub_class debian\n'
    )


def grubenv(
    specimen: specimens.Specimen, identity: plan.Identity, version: str
) -> bytes:
    """Return GRUB's environment block with the kernel's arguments."""
    text = (
        '# GRUB Environment Block\n'
        f'saved_entry={identity.machine_id}-{version}\n'
        f'kernelopts={kernel_arguments(specimen, identity)}\n'
    )
    return text.encode().ljust(_GRUBENV_BYTES, b'#')
