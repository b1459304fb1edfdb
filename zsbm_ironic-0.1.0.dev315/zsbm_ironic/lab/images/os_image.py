# SPDX-License-Identifier: Apache-2.0
"""The test OS: a small Debian on a whole-disk image for BIOS and UEFI.

Called by the lab (`build`) and the command line of this room. The root file
system comes from `os_root`; here it gets what makes it ours (first boot,
ready marker, quick start) and the disk around it. Owns the cache kind
`os-image`.
"""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import uuid

from zsbm_ironic.common import artifacts, process, progress
from zsbm_ironic.lab.images import debian, disk, os_root, ramdisk

KIND = 'os-image'
IMAGE = 'disk.qcow2'
FACTS = 'facts.json'
READY_MARKER = 'zsbm-os: ready'
USERNAME = 'root'
# Room for first boot before the root grows, and for ext4's own tables.
_SPARE_MIB = 48
_OVERHEAD = 1.08
_NAMESPACE = uuid.UUID('6f5ad4a2-3f0f-4f60-9a52-3ad1c3c8f6a1')

# Path in the image -> packaged file and mode.
_FILES = {
    'etc/acpi/events/power': ('acpi-power', 0o644),
    'usr/lib/zsbm/firstboot': ('zsbm-firstboot', 0o755),
    'usr/lib/zsbm/grow': ('zsbm-grow', 0o755),
    'usr/lib/zsbm/ready': ('zsbm-ready', 0o755),
    'usr/lib/zsbm/network.jq': ('network.jq', 0o644),
    'etc/systemd/system/zsbm-firstboot.service': (
        'zsbm-firstboot.service',
        0o644,
    ),
    'etc/systemd/system/zsbm-grow.service': ('zsbm-grow.service', 0o644),
    'etc/systemd/system/zsbm-ready.service': ('zsbm-ready.service', 0o644),
    'etc/systemd/network/90-dhcp.network': ('dhcp.network', 0o644),
}
_ENABLED = {
    'sysinit.target.wants': ('zsbm-firstboot.service',),
    'multi-user.target.wants': (
        'zsbm-grow.service',
        'zsbm-ready.service',
        'systemd-networkd.service',
    ),
}
# Seconds of each boot on a slow machine, for nothing that a test reads.
_MASKED = (
    'apt-daily-upgrade.timer',
    'apt-daily.timer',
    'dev-hugepages.mount',
    'dev-mqueue.mount',
    'dpkg-db-backup.timer',
    'e2scrub_all.timer',
    'e2scrub_reap.service',
    'fstrim.timer',
    'getty-static.service',
    'kmod-static-nodes.service',
    'modprobe@.service',
    'sys-fs-fuse-connections.mount',
    'sys-kernel-config.mount',
    'sys-kernel-debug.mount',
    'sys-kernel-tracing.mount',
    'systemd-binfmt.service',
    'systemd-pstore.service',
    'systemd-update-utmp-runlevel.service',
    'systemd-update-utmp.service',
)
# Needed to make the image, not in it; drivers are the lion's share.
_REMOVED = (
    'boot/System.map-*',
    'etc/resolv.conf',
    'etc/ssh/ssh_host_*',
    'initrd.img.old',
    'usr/lib/grub',
    'usr/lib/shim',
    'usr/lib/udev/hwdb.d',
    'usr/lib/udev/hwdb.bin',
    'usr/lib/x86_64-linux-gnu/gconv',
    'usr/share/doc',
    'usr/share/grub',
    'usr/share/i18n',
    'var/cache/*',
    'var/lib/apt/lists/*',
    'var/log/*.log',
    'var/log/apt/*',
    'vmlinuz.old',
)
# Path on the EFI partition -> path in the root. The firmware's fallback is
# shim as well; the CSV tells the deploy ramdisk which loader to enter.
_ESP = {
    'EFI/BOOT/BOOTX64.EFI': 'usr/lib/shim/shimx64.efi.signed',
    'EFI/BOOT/grubx64.efi': (
        'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'
    ),
    'EFI/BOOT/mmx64.efi': 'usr/lib/shim/mmx64.efi.signed',
    'EFI/debian/shimx64.efi': 'usr/lib/shim/shimx64.efi.signed',
    'EFI/debian/grubx64.efi': (
        'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'
    ),
    'EFI/debian/mmx64.efi': 'usr/lib/shim/mmx64.efi.signed',
    'EFI/debian/BOOTX64.CSV': 'usr/lib/shim/BOOTX64.CSV',
}


@dataclasses.dataclass(frozen=True)
class OsImage:
    """A whole-disk image that is ready to be deployed.

    :ivar path: qcow2.
    :ivar sha256: of that file.
    :ivar size_bytes: of that file.
    :ivar virtual_size_bytes: of the disk in it: what is written.
    :ivar digest: of all that went in.
    """

    path: pathlib.Path
    sha256: str
    size_bytes: int
    virtual_size_bytes: int
    digest: str


def build(cache: artifacts.Artifacts) -> OsImage:
    """Return the test OS image, built first where it is not there yet.

    :raises ToolMissing: a program is not installed.
    :raises DownloadFailed: the mirror cannot be reached.
    :raises BuildFailed: a package is missing or does not install.
    :raises DiskTooSmall: the cache folder is too full.
    """
    digest = key()
    if found := cache.find(KIND, digest):
        return _described(found)
    disk.check_tools(os_root.WHAT)
    base = os_root.build(cache)

    def assemble(target: pathlib.Path, report: progress.Progress) -> None:
        _assemble(target, base, digest, report)

    return _described(
        cache.get(KIND, digest, assemble, needs_bytes=2000 << 20)
    )


def key() -> str:
    """Return the digest of all that goes into the image."""
    names = sorted({name for name, _ in _FILES.values()} | {'grub.cfg'})
    return artifacts.digest(
        {
            'root': os_root.key(),
            'code': pathlib.Path(__file__).read_bytes(),
            'disk': pathlib.Path(disk.__file__).read_bytes(),
            'parameters': ramdisk.KERNEL_PARAMETERS,
            **{name: debian.data(f'os/{name}') for name in names},
        }
    )


def _described(folder: pathlib.Path) -> OsImage:
    facts = json.loads((folder / FACTS).read_text())
    return OsImage(path=folder / IMAGE, digest=folder.name, **facts)


def _assemble(
    target: pathlib.Path,
    base: pathlib.Path,
    digest: str,
    report: progress.Progress,
) -> None:
    root = target / 'root'
    root.mkdir()
    root_uuid = uuid.uuid5(_NAMESPACE, digest)
    raw = target / 'disk.raw'
    with report.step('OS image: configure'):
        debian.unpack(base / os_root.ARCHIVE, root)
        configure(root, root_uuid)
    with report.step('OS image: disk'):
        virtual_bytes = _make_disk(raw, root, root_uuid, target)
    with report.step('OS image: compress'):
        image = target / IMAGE
        process.run(
            ['qemu-img', 'convert', '-q', '-c', '-W', '-m', '4']
            + ['-f', 'raw', '-O', 'qcow2', str(raw), str(image)],
            timeout_s=600,
        )
    raw.unlink()
    shutil.rmtree(root)
    with image.open('rb') as source:
        sha256 = hashlib.file_digest(source, 'sha256').hexdigest()
    facts = {
        'sha256': sha256,
        'size_bytes': image.stat().st_size,
        'virtual_size_bytes': virtual_bytes,
    }
    (target / FACTS).write_text(json.dumps(facts) + '\n')
    shutil.copyfile(base / os_root.PACKAGES, target / os_root.PACKAGES)


def _make_disk(
    raw: pathlib.Path,
    root: pathlib.Path,
    root_uuid: uuid.UUID,
    work: pathlib.Path,
) -> int:
    pointer = work / 'esp-grub.cfg'
    pointer.write_text(
        f'search.fs_uuid {root_uuid} root\n'
        'set prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n'
    )
    # What the firmware needs leaves the root before its size is taken.
    loaders = work / 'loaders'
    esp = {'EFI/debian/grub.cfg': pointer}
    for number, (name, source) in enumerate(_ESP.items()):
        esp[name] = loaders / str(number)
        loaders.mkdir(exist_ok=True)
        shutil.copyfile(root / source, esp[name])
    size = disk.assemble(raw, root, root_uuid, esp, work, _prune)
    shutil.rmtree(loaders)
    pointer.unlink()
    return size


def _prune(root: pathlib.Path) -> int:
    """Remove what only the making needs; return the root's size in MiB."""
    for pattern in _REMOVED:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    return int(disk.used_mib(root) * _OVERHEAD) + _SPARE_MIB


def configure(root: pathlib.Path, root_uuid: uuid.UUID) -> None:
    """Make a plain Debian root ours: files, units, boot menu, mounts."""
    for path, (name, mode) in _FILES.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(debian.data(f'os/{name}'))
        place.chmod(mode)
    units = root / 'etc' / 'systemd' / 'system'
    for folder, names in _ENABLED.items():
        (units / folder).mkdir(exist_ok=True)
        for name in names:
            own = units / name
            target = (
                f'../{name}' if own.exists() else f'/lib/systemd/system/{name}'
            )
            _link(units / folder / name, target)
    for name in _MASKED:
        _link(units / name, '/dev/null')
    menu = (
        debian.data('os/grub.cfg')
        .replace('@ROOT@', str(root_uuid))
        .replace('@PARAMETERS@', ramdisk.KERNEL_PARAMETERS)
    )
    (root / 'boot' / 'grub').mkdir(exist_ok=True)
    (root / 'boot' / 'grub' / 'grub.cfg').write_text(menu)
    (root / 'etc' / 'fstab').write_text(
        f'UUID={root_uuid} / ext4 errors=remount-ro 0 1\n'
        'PARTLABEL=esp /boot/efi vfat noauto,umask=0077 0 0\n'
    )
    (root / 'boot' / 'efi').mkdir(exist_ok=True)
    (root / 'etc' / 'hostname').write_text('zsbm-os\n')
    (root / 'etc' / 'hosts').write_text('127.0.0.1 localhost\n::1 localhost\n')
    # Empty: systemd makes one at each machine's first boot.
    (root / 'etc' / 'machine-id').write_text('')


def _link(path: pathlib.Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)
