# SPDX-License-Identifier: Apache-2.0
"""The deploy ramdisk: its base, with our own part as a second archive.

Called by the lab (`build`) and the command line of this room. The kernel
unpacks concatenated archives in their order, so a change of ours only makes
the small second one anew, in seconds. Owns the cache kind `ramdisk`.
"""

import dataclasses
import importlib.util
import pathlib
import py_compile
import shutil
import stat
import sys
import tempfile

from zsbm_ironic.common import artifacts, progress
from zsbm_ironic.image import newc
from zsbm_ironic.lab.images import debian, payload, ramdisk_base

KIND = 'ramdisk'
INITRAMFS = 'initramfs'
# no_timer_check, mitigations, panic: a loaded machine without KVM otherwise
# panics with "IO-APIC + timer doesn't work!". init_on_alloc: clearing memory
# costs it a tenth of the boot. The last console is the one that init and the
# agent print on. For the lab: a real server needs its console alone.
KERNEL_PARAMETERS = (
    'console=tty0 console=ttyS0,115200 no_timer_check mitigations=off '
    'init_on_alloc=0 panic=15'
)
_FOLDERS = (
    'etc/ipa-rescue-config',
    'etc/ironic-python-agent.d',
    'etc/udhcpc',
    'home/rescue',
    'root',
    'tmp',
    'var/log',
)
# Path in the ramdisk -> packaged file and mode.
FILES = {
    'init': ('init', 0o755),
    'etc/udhcpc/zsbm': ('udhcpc', 0o755),
    'etc/ssh/sshd_config': ('sshd_config', 0o644),
    'etc/sudoers.d/rescue': ('sudoers', 0o440),
    'etc/hosts': ('hosts', 0o644),
    'etc/pam.d/other': ('pam-other', 0o644),
    'etc/pam.d/sudo': ('pam-sudo', 0o644),
    'usr/bin/ironic-python-agent': ('ironic-python-agent', 0o755),
    'usr/sbin/poweroff': ('power', 0o755),
    'usr/sbin/reboot': ('power', 0o755),
    'usr/sbin/halt': ('power', 0o755),
}


@dataclasses.dataclass(frozen=True)
class Ramdisk:
    """A deploy ramdisk that is ready to be served.

    :ivar kernel: Debian's kernel, signed as Secure Boot needs it.
    :ivar initramfs: lz4 archives, one after the other.
    :ivar digest: of all that went in.
    """

    kernel: pathlib.Path
    initramfs: pathlib.Path
    digest: str


def build(
    cache: artifacts.Artifacts,
    *,
    wheel: pathlib.Path | None = None,
) -> Ramdisk:
    """Return the deploy ramdisk, built first where it is not there yet.

    :param wheel: our package as a wheel; None: the files of the running one.
    :raises ToolMissing: a program is not installed.
    :raises DownloadFailed: mirror or index cannot be reached.
    :raises BuildFailed: a package or module is missing.
    :raises DiskTooSmall: the cache folder is too full.
    """
    files = payload.collect(wheel)
    base_key = ramdisk_base.key()
    own: dict[str, str | bytes] = {
        'base': base_key,
        'code': pathlib.Path(__file__).read_bytes(),
        **{f'file {name}': content for name, content in files.items()},
        **{
            f'data {name}': debian.data(f'ramdisk/{name}')
            for name, _ in FILES.values()
        },
    }
    digest = artifacts.digest(own)
    if found := cache.find(KIND, digest):
        return _ramdisk(found)
    ramdisk_base.check_tools()
    base = ramdisk_base.build(cache)

    def assemble(target: pathlib.Path, report: progress.Progress) -> None:
        with report.step('ramdisk: our part'):
            _assemble(target, base, files, digest)

    needed = 2 * (base / ramdisk_base.ARCHIVE).stat().st_size
    return _ramdisk(cache.get(KIND, digest, assemble, needs_bytes=needed))


def _ramdisk(folder: pathlib.Path) -> Ramdisk:
    return Ramdisk(
        kernel=folder / ramdisk_base.KERNEL,
        initramfs=folder / INITRAMFS,
        digest=folder.name,
    )


def _assemble(
    target: pathlib.Path,
    base: pathlib.Path,
    files: dict[str, bytes],
    digest: str,
) -> None:
    overlay = target / 'own.cpio.lz4'
    ramdisk_base.pack(overlay, lambda writer: _fill(writer, files, digest))
    with (target / INITRAMFS).open('wb') as sink:
        for part in (base / ramdisk_base.ARCHIVE, overlay):
            with part.open('rb') as source:
                shutil.copyfileobj(source, sink, 1 << 20)
    overlay.unlink()
    for name in (ramdisk_base.KERNEL, ramdisk_base.PACKAGES):
        shutil.copyfile(base / name, target / name)


def _fill(writer: newc.Writer, files: dict[str, bytes], digest: str) -> None:
    for folder in _FOLDERS:
        mode = 0o1777 if folder == 'tmp' else 0o755
        writer.add(folder, stat.S_IFDIR | mode)
    for place, (name, mode) in FILES.items():
        content = debian.data(f'ramdisk/{name}').encode()
        writer.add(place, stat.S_IFREG | mode, content)
    writer.add(
        'etc/zsbm-ramdisk', stat.S_IFREG | 0o644, f'{digest}\n'.encode()
    )
    contents = {**files, **compiled(files)}
    made: set[pathlib.PurePath] = set()
    for name in sorted(contents):
        path = pathlib.PurePath(ramdisk_base.SITE, name)
        for parent in reversed(path.parents[: len(path.parents) - 5]):
            if parent not in made:
                made.add(parent)
                writer.add(str(parent), stat.S_IFDIR | 0o755)
        writer.add(str(path), stat.S_IFREG | 0o644, contents[name])


def compiled(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return byte code of our modules, where this Python is the ramdisk's.

    Compiling costs a slow machine seconds of each boot; another Python's
    byte code would only be ignored.
    """
    if sys.version_info[:2] != (3, 11):
        return {}
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, 'source.py')
        result = pathlib.Path(folder, 'result.pyc')
        for name, content in files.items():
            if not name.endswith('.py'):
                continue
            source.write_bytes(content)
            py_compile.compile(
                str(source),
                str(result),
                dfile=f'/{ramdisk_base.SITE}/{name}',
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            place = importlib.util.cache_from_source(name)
            results[place] = result.read_bytes()
    return results
