# SPDX-License-Identifier: Apache-2.0
"""The base of the deploy ramdisk: Debian, kernel, ironic-python-agent.

Called by `ramdisk`, which lays our own part on top. Unpacks packages without
running their scripts (seconds instead of minutes), so what those would have
done, and the agent needs, is done here: accounts, shell, certificates, module
and linker indexes, compiled Python. Owns the cache kind `ramdisk-base`.
"""

import pathlib
import shutil
from collections.abc import Callable, Iterable

from zsbm_ironic.common import apt, artifacts, process, progress
from zsbm_ironic.image import newc
from zsbm_ironic.lab.images import debian, modules

WHAT = 'the deploy ramdisk'
KIND = 'ramdisk-base'
KERNEL = 'vmlinuz'
ARCHIVE = 'base.cpio.lz4'
PACKAGES = 'packages.txt'
NEEDED_BYTES = 2500 << 20
# A machine unpacks lz4 in a fifth of zstd's time, which is worth more than
# the third that it is larger: 3 s of each boot without KVM against 0.5 s.
# The kernel reads lz4's legacy format only.
_COMPRESS = ('lz4', '-q', '-f', '-l', '-9')
SITE = 'usr/lib/python3/dist-packages'

# What no step of a deploy reads: each MB costs time of every boot, twice
# (fetching, unpacking).
LEFT_OUT = (
    'boot',
    'dev/*',
    'etc/apt',
    'etc/dpkg',
    'etc/init.d',
    'etc/initramfs-tools',
    'etc/kernel',
    'etc/rc?.d',
    'etc/ssh/moduli',
    'etc/systemd',
    'usr/bin/grub-[!fm]*',
    'usr/bin/grub-m[!k]*',
    'usr/bin/grub-mk[!i]*',
    'usr/bin/mokutil',
    'usr/bin/perl*',
    'usr/bin/pzstd',
    'usr/bin/qemu-io',
    'usr/bin/qemu-nbd',
    'usr/include',
    'usr/lib/apt',
    'usr/lib/dpkg',
    'usr/lib/grub/x86_64-efi',
    'usr/lib/grub/x86_64-efi-signed/g[!r]*',
    'usr/lib/grub/x86_64-efi-signed/grubn*',
    'usr/lib/klibc*',
    'usr/lib/python3.11/__phello__*',
    'usr/lib/python3.11/ensurepip',
    'usr/lib/python3.11/idlelib',
    'usr/lib/python3.11/lib2to3',
    'usr/lib/python3.11/pydoc_data',
    'usr/lib/python3.11/test',
    'usr/lib/python3.11/turtledemo',
    'usr/lib/systemd/system',
    'usr/lib/udev/hwdb.d',
    # But for IBM850, the code page in which mtools writes names.
    'usr/lib/x86_64-linux-gnu/gconv/[!Ig]*',
    'usr/lib/x86_64-linux-gnu/gconv/I[!B]*',
    'usr/lib/x86_64-linux-gnu/gconv/IBM[!8]*',
    'usr/lib/x86_64-linux-gnu/gconv/IBM8[!5]*',
    'usr/lib/x86_64-linux-gnu/gconv/IBM85[!0]*',
    # Unicode tables of xfs_scrub, which checks mounted file systems.
    'usr/lib/x86_64-linux-gnu/libicu*',
    'usr/lib/x86_64-linux-gnu/libmvec*',
    'usr/lib/x86_64-linux-gnu/libperl*',
    'usr/lib/x86_64-linux-gnu/liblvm2cmd*',
    'usr/lib/x86_64-linux-gnu/perl*',
    'usr/sbin/dmeventd',
    'usr/sbin/grub-*',
    'usr/sbin/ipmievd',
    'usr/sbin/smartd',
    'usr/sbin/xfs_scrub*',
    'usr/share/grub',
    'usr/share/initramfs-tools',
    # Names of companies by number.
    'usr/share/misc/enterprise-numbers.txt',
    'usr/share/perl*',
    'usr/src',
    'var/cache/*',
    'var/lib/apt',
    'var/lib/dpkg',
    f'{SITE}/netaddr/eui/*.txt',
    f'{SITE}/pint/testsuite',
    f'{SITE}/tzdata/zoneinfo',
    f'{SITE}/*/tests',
    f'{SITE}/*/test',
)

# What udev's rules and sshd ask for beyond base-passwd's accounts.
_GROUPS = ('input:x:101:', 'sgx:x:102:', 'kvm:x:103:', 'render:x:104:')
_USERS = (
    'sshd:x:105:65534::/run/sshd:/usr/sbin/nologin',
    'rescue:x:1000:1000:rescue:/home/rescue:/bin/bash',
)

_INSTALL = """
set -e
ldconfig
ln -sf dash /usr/bin/sh
for name in $(busybox --list); do
    [ -e "/usr/bin/$name" ] || [ -e "/usr/sbin/$name" ] ||
        ln -s busybox "/usr/bin/$name"
done
python3 -m compileall -q --invalidation-mode unchecked-hash \
    /usr/lib/python3.11 /usr/lib/python3
"""

# Run when all is removed that is left out: nothing that the agent starts may
# have lost a library.
_PROOF = """
set -e
for tool in debugfs dmidecode ethtool findmnt grub-fstest grub-mkimage \
    hdparm ipmitool lsblk lshw lspci lvm lz4 mcopy mdadm mkfs.ext4 mkfs.vfat \
    mkfs.xfs nvme parted partx qemu-img sfdisk sgdisk smartctl sshd \
    ssh-keygen sudo udevadm wipefs efibootmgr fuser zstd; do
    path=$(command -v "$tool")
    /lib64/ld-linux-x86-64.so.2 --list "$path" >/tmp/list
    if grep 'not found' /tmp/list >&2; then exit 1; fi
done
rm /tmp/list
python3 -c 'import ironic_python_agent.cmd.agent, ironic_python_agent.hardware'
mformat -C -T 2880 -i /tmp/fat :: && mmd -i /tmp/fat ::/EFI && rm /tmp/fat
test -e /usr/lib/grub/i386-pc/boot.img
test -e /usr/lib/shim/shimx64.efi.signed
"""


def key() -> str:
    """Return the digest of all that decides what the base has in it."""
    sources = {
        module.__name__: pathlib.Path(module.__file__ or '').read_bytes()
        for module in (debian, modules, newc)
    }
    return artifacts.digest(
        {
            **sources,
            __name__: pathlib.Path(__file__).read_bytes(),
            'packages': debian.data('ramdisk/packages.txt'),
            'modules': debian.data('ramdisk/modules.txt'),
            'requirements': debian.data('ramdisk/requirements.txt'),
        }
    )


def build(cache: artifacts.Artifacts) -> pathlib.Path:
    """Return the folder with KERNEL, ARCHIVE and PACKAGES.

    :raises DownloadFailed: mirror or index cannot be reached.
    :raises BuildFailed: a package or module is missing.
    """
    return cache.get(KIND, key(), _build, needs_bytes=NEEDED_BYTES)


def _build(target: pathlib.Path, report: progress.Progress) -> None:
    root = target / 'root'
    with report.step('ramdisk: Debian packages'):
        _unpack(root, target)
    with report.step('ramdisk: ironic-python-agent'):
        requirements = target / 'requirements.txt'
        requirements.write_text(debian.data('ramdisk/requirements.txt'))
        debian.pip_install(root / SITE, requirements, WHAT)
    with report.step('ramdisk: kernel modules'):
        kernel = next((root / 'boot').glob('vmlinuz-*'))
        shutil.copyfile(kernel, target / KERNEL)
        _keep_modules(root, kernel.name.removeprefix('vmlinuz-'))
    with report.step('ramdisk: accounts, links, compiled Python'):
        _configure(root)
    with report.step('ramdisk: pack'):
        pack(target / ARCHIVE, lambda writer: writer.add_tree(root))
        shutil.rmtree(root)


def _unpack(root: pathlib.Path, target: pathlib.Path) -> None:
    listing = target / PACKAGES
    debian.bootstrap(
        root,
        debian.package_list('ramdisk/packages.txt'),
        variant='extract',
        left_out=[
            f'/lib/modules/*/kernel/{folder}/*'
            for folder in ('sound', 'drivers/gpu', 'drivers/media')
        ],
        hooks=[
            '--setup-hook=for d in bin sbin lib lib64; do '
            'mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done',
            '--extract-hook=ls "$1/var/cache/apt/archives" '
            f'| sed -n "s/[.]deb$//p" > {listing}',
        ],
        what=WHAT,
    )


def _keep_modules(root: pathlib.Path, version: str) -> None:
    """Remove the kernel modules that the list does not need."""
    folder = root / 'usr' / 'lib' / 'modules' / version
    process.run(['depmod', '-b', root, version], timeout_s=120)
    wanted = debian.package_list('ramdisk/modules.txt')
    kept = modules.closure(folder, wanted)
    for path in folder.glob('kernel/**/*.ko*'):
        if str(path.relative_to(folder)) not in kept:
            path.unlink()
    process.run(['depmod', '-b', root, version], timeout_s=120)


def _configure(root: pathlib.Path) -> None:
    """Do what the packages' scripts would have done, where it is needed."""
    etc = root / 'etc'
    masters = root / 'usr' / 'share' / 'base-passwd'
    passwd = (masters / 'passwd.master').read_text().replace(':*:', ':x:')
    group = (masters / 'group.master').read_text().replace(':*:', ':x:')
    _write_lines(etc / 'passwd', passwd, _USERS)
    _write_lines(etc / 'group', group, (*_GROUPS, 'rescue:x:1000:'))
    names = [line.partition(':')[0] for line in (etc / 'passwd').open()]
    _write_lines(
        etc / 'shadow', '', [f'{name}:*:19000:0:99999:7:::' for name in names]
    )
    (etc / 'shadow').chmod(0o600)
    authorities = sorted(
        (root / 'usr' / 'share' / 'ca-certificates').glob('**/*.crt')
    )
    (etc / 'ssl' / 'certs' / 'ca-certificates.crt').write_text(
        ''.join(path.read_text() for path in authorities)
    )
    # The agent reads its arguments from there as soon as it is imported.
    cmdline = root / 'proc' / 'cmdline'
    cmdline.write_text('')
    _run_in(root, _INSTALL)
    _remove_left_out(root)
    _run_in(root, _PROOF)
    cmdline.unlink()


def _run_in(root: pathlib.Path, script: str) -> None:
    process.run(
        ['chroot', str(root), '/bin/bash', '-c', script],
        timeout_s=600,
        env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'},
    )


def _remove_left_out(root: pathlib.Path) -> None:
    for pattern in LEFT_OUT:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _write_lines(path: pathlib.Path, text: str, lines: Iterable[str]) -> None:
    path.write_text(text + ''.join(f'{line}\n' for line in lines))


def pack(target: pathlib.Path, fill: Callable[[newc.Writer], None]) -> None:
    """Write one compressed archive.

    The kernel unpacks such archives that follow each other without a gap.
    """
    plain = target.with_suffix('')
    with plain.open('wb') as sink:
        writer = newc.Writer(sink)
        fill(writer)
        writer.close()
    process.run([*_COMPRESS, plain, target], timeout_s=900)
    plain.unlink()


def check_tools() -> None:
    """Make sure that every program is there before minutes are spent.

    :raises ToolMissing: names the Debian package.
    """
    for tool, package in (
        ('mmdebstrap', 'mmdebstrap'),
        ('depmod', 'kmod'),
        ('chroot', 'coreutils'),
        ('lz4', 'lz4'),
    ):
        apt.require(tool, package, WHAT)
