# SPDX-License-Identifier: Apache-2.0
"""Makes a Debian root a VM of somebody: mounts, network, ready line.

Called by `build` on an unpacked root, before the boot loader is added.
"""

import pathlib

from zsbm_ironic.common import process
from zsbm_ironic.lab.vm_images import plan, roots, specimens

READY_MARKER = 'zsbm-vm: ready'
DATA = pathlib.Path(__file__).parent / 'data'
_READY = 'usr/lib/zsbm-vm/ready'
_UNITS = 'etc/systemd/system'
# Seconds of each boot on a slow machine, for nothing that a test reads.
_MASKED = (
    'apt-daily-upgrade.timer',
    'apt-daily.timer',
    'dpkg-db-backup.timer',
    'e2scrub_all.timer',
    'e2scrub_reap.service',
    'fstrim.timer',
)
# Debian protects the signed loaders from being taken away by mistake.
_PURGE = ('--force-depends', '--force-remove-protected', '--purge')
_LOOPBACK = 'auto lo\niface lo inet loopback\n'


def apply(
    root: pathlib.Path,
    specimen: specimens.Specimen,
    identity: plan.Identity,
) -> None:
    """Write what tells this image from others of the same packages."""
    etc = root / 'etc'
    _purge(root, specimen)
    files = {
        'hostname': f'{specimen.name}\n',
        'hosts': f'127.0.0.1 localhost {specimen.name}\n::1 localhost\n',
        'machine-id': f'{identity.machine_id}\n',
        'fstab': fstab(specimen, identity),
        **network(specimen),
    }
    (etc / 'resolv.conf').unlink(missing_ok=True)
    for name, text in files.items():
        place = etc / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        if 'netplan' in name or name.startswith('NetworkManager'):
            place.chmod(0o600)  # both refuse or warn of others
    if specimen.layout is specimens.Layout.FOUR:
        (root / 'srv' / 'kept').write_text('data of the user\n')
    _as_on_a_vm(root, specimen)
    _announce(root, specimen)


def fstab(specimen: specimens.Specimen, identity: plan.Identity) -> str:
    """Return /etc/fstab."""

    def line(use: plan.Use, rest: str) -> str:
        return f'{plan.reference(specimen, identity, use)} {rest}\n'

    options = {
        specimens.Filesystem.EXT4: 'errors=remount-ro',
        specimens.Filesystem.XFS: 'defaults',
        specimens.Filesystem.BTRFS: f'defaults,subvol={plan.SUBVOLUME}',
    }[specimen.filesystem]
    checked = 1 if specimen.filesystem is specimens.Filesystem.EXT4 else 0
    kind = specimen.filesystem.value
    text = line(plan.Use.ROOT, f'/ {kind} {options} 0 {checked}')
    rows = {
        plan.Use.BOOT: '/boot ext4 defaults 0 2',
        plan.Use.ESP: '/boot/efi vfat umask=0077 0 1',
        plan.Use.SWAP: 'none swap sw 0 0',
        plan.Use.SRV: '/srv ext4 defaults 0 2',
    }
    for use, rest in rows.items():
        if plan.find(specimen, use):
            text += line(use, rest)
    return text


def network(specimen: specimens.Specimen) -> dict[str, str]:
    """Return the files of the network configuration by their path in /etc."""
    name = specimen.interface
    files = {'network/interfaces': _LOOPBACK}
    if specimen.network is specimens.Network.IFUPDOWN:
        files['network/interfaces'] += (
            f'allow-hotplug {name}\niface {name} inet dhcp\n'
        )
    elif specimen.network is specimens.Network.ETH0:
        files['network/interfaces'] += f'auto {name}\niface {name} inet dhcp\n'
    elif specimen.network is specimens.Network.NETWORKD:
        files['systemd/network/20-wired.network'] = (
            f'[Match]\nName={name}\n\n[Network]\nDHCP=yes\n'
        )
    elif specimen.network is specimens.Network.NETPLAN:
        files['netplan/50-cloud-init.yaml'] = (
            'network:\n  version: 2\n  renderer: networkd\n'
            f'  ethernets:\n    {name}:\n      dhcp4: true\n'
        )
    else:
        files[f'NetworkManager/system-connections/{name}.nmconnection'] = (
            f'[connection]\nid={name}\ntype=ethernet\n'
            f'interface-name={name}\n\n[ipv4]\nmethod=auto\n\n'
            '[ipv6]\nmethod=auto\n'
        )
    return files


def _purge(root: pathlib.Path, specimen: specimens.Specimen) -> None:
    """Take away the boot loader of the firmware that the VM does not have."""
    doomed: tuple[str, ...] = ()
    architecture = specimen.system.architecture
    if specimen.boot is specimens.Boot.BIOS:
        doomed = roots.GRUB_UEFI[architecture]
    elif specimen.boot is specimens.Boot.UEFI:
        doomed = roots.GRUB_BIOS[architecture]
    if doomed:
        process.run(
            ['chroot', root, 'dpkg', *_PURGE, *doomed],
            timeout_s=300,
            env={
                'PATH': '/usr/sbin:/usr/bin:/sbin:/bin',
                'DEBIAN_FRONTEND': 'noninteractive',
            },
        )


def _as_on_a_vm(root: pathlib.Path, specimen: specimens.Specimen) -> None:
    """Leave the initramfs, but not the list that it was made from.

    A VM has MODULES=dep: a rebuild looks at the machine that it runs on.
    """
    settings = root / 'etc' / 'initramfs-tools'
    if (settings / 'conf.d' / 'vm').exists():
        (settings / 'conf.d' / 'vm').write_text('MODULES=dep\n')
        (settings / 'modules').write_text('# Modules to load early\n')


def _announce(root: pathlib.Path, specimen: specimens.Specimen) -> None:
    place = root / _READY
    place.parent.mkdir(parents=True)
    place.write_text((DATA / 'ready').read_text())
    place.chmod(0o755)
    if specimen.system.init is specimens.Init.SYSVINIT:
        with (root / 'etc' / 'inittab').open('a') as table:
            table.write(
                'T0:23:respawn:/sbin/getty -L ttyS0 115200 vt100\n'
                f'vm:2345:once:/{_READY} {specimen.interface}\n'
            )
        return
    units = root / _UNITS
    unit = 'zsbm-vm-ready.service'
    text = (DATA / unit).read_text()
    (units / unit).write_text(text.replace('@interface@', specimen.interface))
    wanted = units / 'multi-user.target.wants'
    wanted.mkdir(exist_ok=True)
    (wanted / unit).symlink_to(f'../{unit}')
    if specimen.network in (
        specimens.Network.NETWORKD,
        specimens.Network.NETPLAN,
    ):
        networkd = 'systemd-networkd.service'
        (wanted / networkd).symlink_to(f'/lib/systemd/system/{networkd}')
    for name in _MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to('/dev/null')
