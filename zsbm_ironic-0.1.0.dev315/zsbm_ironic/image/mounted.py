# SPDX-License-Identifier: Apache-2.0
"""Files on a disk by the kernel's own file systems.

For a kernel that may be lost: that of the deploy ramdisk, or of a machine
that is started for one image. Each path is found by openat2(2) with
RESOLVE_IN_ROOT: no link of the image leads out of it. Nothing is written
before something is changed: a file system is read-only until then.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator

from zsbm_ironic.common import exception as common_exception
from zsbm_ironic.common import process
from zsbm_ironic.image import exception, limits, tree

# linux/openat2.h, and the call's number on every architecture since 5.6.
_OPENAT2 = 437
_RESOLVE_IN_ROOT = 0x10
_RESOLVE_NO_MAGICLINKS = 0x02
_MOUNT_OPTIONS = 'ro,nosuid,nodev,noexec'
# No log of another file system with the same UUID; the whole of it.
_OPTIONS = {'xfs': ',nouuid', 'btrfs': ',subvolid=5'}
_LABEL = 'security.selinux'
# There once the kernel has loop devices; no ramdisk has them from the start.
_LOOPS = pathlib.Path('/sys/module/loop')
_KINDS = frozenset({'ext2', 'ext3', 'ext4', 'xfs', 'btrfs'})
_libc = ctypes.CDLL(None, use_errno=True)


class Mounts:
    """The file systems of a disk, mounted when they are first looked at.

    A context: all are unmounted at its end.

    :param disk: a block device, or a file.
    """

    def __init__(self, disk: pathlib.Path) -> None:
        self._disk = disk
        self._known: dict[str, MountedTree] = {}
        self._end = contextlib.ExitStack()

    def __enter__(self) -> 'Mounts':
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()
        self._known.clear()

    def files(
        self, kind: str, start_bytes: int | None, grub: str
    ) -> 'MountedTree | None':
        """Return a file system; None where the kernel is not to mount it.

        :param kind: as blkid names it.
        :param start_bytes: on the disk; None for a logical volume.
        :param grub: GRUB's name of it.
        """
        if kind not in _KINDS:
            return None
        if grub not in self._known:
            self._known[grub] = self._mounted(kind, start_bytes, grub)
        return self._known[grub]

    def _mounted(
        self, kind: str, start_bytes: int | None, grub: str
    ) -> 'MountedTree':
        name = self._end.enter_context(
            tempfile.TemporaryDirectory(prefix='zsbm-mount-')
        )
        options = _MOUNT_OPTIONS + _OPTIONS.get(kind, '')
        device = str(self._disk)
        if start_bytes is None:
            device = self._end.enter_context(_logical(self._disk, grub))
        else:
            device = self._end.enter_context(_loop(self._disk, start_bytes))
        try:
            process.run(
                ['mount', '-t', kind, '-o', options, device, name],
                timeout_s=limits.WRITE_S,
            )
        except common_exception.ZsbmError as exc:
            raise exception.ImageDamaged(
                image=self._disk.name, what=f'a {kind} file system', why=exc
            ) from exc
        self._end.callback(
            process.run, ['umount', name], timeout_s=limits.WRITE_S
        )
        root = os.open(name, os.O_PATH | os.O_DIRECTORY)
        self._end.callback(os.close, root)

        def make_writable() -> None:
            process.run(
                ['mount', '-o', 'remount,rw', name], timeout_s=limits.WRITE_S
            )

        return MountedTree(self._disk.name, root, make_writable)


@contextlib.contextmanager
def _loop(disk: pathlib.Path, start_bytes: int) -> Iterator[str]:
    """Give a device of what begins at a place of the disk.

    One that `mount` makes would stay read-only with a read-only mount.
    """
    if not _LOOPS.exists():
        process.run(['modprobe', 'loop'], timeout_s=limits.WRITE_S)
    made = process.run(
        ['losetup', '--find', '--show', f'--offset={start_bytes}', disk],
        timeout_s=limits.WRITE_S,
    )
    device = made.stdout.strip()
    try:
        yield device
    finally:
        process.run(['losetup', '-d', device], timeout_s=limits.WRITE_S)


@contextlib.contextmanager
def _logical(disk: pathlib.Path, grub: str) -> Iterator[str]:
    """Give the device of a logical volume."""
    # GRUB and the device mapper write a name alike: - is -- in either part.
    name = grub.removeprefix('lvm/')
    group = name.replace('--', '\0').partition('-')[0].replace('\0', '-')
    process.run(['vgchange', '-q', '-ay', group], timeout_s=limits.WRITE_S)
    try:
        yield f'/dev/mapper/{name}'
    finally:
        process.run(['vgchange', '-q', '-an', group], timeout_s=limits.WRITE_S)
        # What was read of the disk before is older than what is on it now.
        process.run(
            ['blockdev', '--flushbufs', disk], timeout_s=limits.WRITE_S
        )


class MountedTree:
    """One mounted file system.

    :param name: of the image, for messages.
    :param top: a handle of its top folder.
    :param make_writable: called once, before the first change.
    :param prefix: folder that is its root, for example a subvolume.

    :ivar prefix: the same, without a slash at its end.
    """

    def __init__(
        self,
        name: str,
        top: int,
        make_writable: Callable[[], None],
        prefix: str = '',
    ) -> None:
        self.name = name
        self.prefix = prefix.rstrip('/')
        self._top = top
        self._make_writable: Callable[[], None] | None = make_writable

    def below(self, prefix: str) -> 'MountedTree':
        """Return the same file system with a folder as its root."""
        make_writable = self._make_writable or (lambda: None)
        return MountedTree(self.name, self._top, make_writable, prefix)

    def entry(self, path: str) -> tree.Entry | None:
        """Return what is at a path, at the end of its links."""
        try:
            with self._root() as root, _opened(root, path, os.O_PATH) as file:
                facts = os.fstat(file)
        except OSError:
            return None
        if stat.S_ISREG(facts.st_mode):
            return tree.Entry(tree.Kind.FILE, facts.st_size)
        if stat.S_ISDIR(facts.st_mode):
            return tree.Entry(tree.Kind.FOLDER)
        return tree.Entry(tree.Kind.OTHER)

    def names(self, path: str) -> list[str]:
        """Return the names in a folder, sorted."""
        flags = os.O_RDONLY | os.O_DIRECTORY
        try:
            with self._root() as root, _opened(root, path, flags) as folder:
                return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def copy(self, path: str, target: pathlib.Path) -> None:
        """Copy a file's content out."""
        found = self.entry(path)
        if found is None or found.kind is not tree.Kind.FILE:
            raise FileNotFoundError(path)
        with (
            self._root() as root,
            _opened(root, path, os.O_RDONLY) as file,
            os.fdopen(os.dup(file), 'rb') as reader,
            target.open('wb') as sink,
        ):
            shutil.copyfileobj(reader, sink, 1 << 20)

    def write(self, path: str, source: pathlib.Path) -> None:
        """Put a file's content at a path, by one rename.

        What is there keeps owner, mode and extended attributes. It is on the
        disk when the file system was unmounted: after a power cut before,
        the whole image is written anew.

        :raises NotEditable: the kernel refuses, or it is full; the file is as
            it was before.
        """
        with self._writable(path) as root:
            _write(root, pathlib.PurePosixPath(path.lstrip('/')), source)

    def write_tree(self, path: str, source: pathlib.Path) -> None:
        """Put files and folders below a new folder; raises as `write`."""
        top = pathlib.PurePosixPath(path.lstrip('/'))
        folders = sorted(one for one in source.rglob('*') if one.is_dir())
        for folder in (source, *folders):
            below = top / folder.relative_to(source)
            with (
                self._writable(str(below)) as root,
                _folder(root, below) as there,
            ):
                for file in sorted(folder.iterdir()):
                    if file.is_file() and not file.is_symlink():
                        _put(there, file.name, file)

    @contextlib.contextmanager
    def _writable(self, path: str) -> Iterator[int]:
        """Give the root for a change.

        :param path: what is changed, for the message.
        :raises NotEditable: the change raised OSError, or the kernel refuses.
        """
        try:
            if self._make_writable is not None:
                self._make_writable()
                self._make_writable = None
            with self._root() as root:
                yield root
        except (OSError, common_exception.ZsbmError) as exc:
            raise exception.NotEditable(
                image=self.name, what=path, why=exc
            ) from exc

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        flags = os.O_PATH | os.O_DIRECTORY
        with _opened(self._top, self.prefix.strip('/') or '.', flags) as root:
            yield root


def _write(
    root: int, path: pathlib.PurePosixPath, source: pathlib.Path
) -> None:
    path = _end_of_links(root, path)
    with _folder(root, path.parent) as folder:
        _put(folder, path.name, source)


def _put(folder: int, name: str, source: pathlib.Path) -> None:
    partial = f'.{name}.zsbm'
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial, dir_fd=folder)
    target = os.open(
        partial,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW,
        0o600,
        dir_fd=folder,
    )
    try:
        with (
            source.open('rb') as reader,
            os.fdopen(os.dup(target), 'wb') as sink,
        ):
            shutil.copyfileobj(reader, sink, 1 << 20)
        _as_before(folder, name, target)
    except BaseException:
        os.unlink(partial, dir_fd=folder)
        raise
    finally:
        os.close(target)
    os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)


def _end_of_links(
    root: int, path: pathlib.PurePosixPath
) -> pathlib.PurePosixPath:
    """Return where a path leads; a link to a file is not replaced."""
    try:
        with _opened(root, str(path), os.O_PATH) as file:
            end = os.readlink(f'/proc/self/fd/{file}')
    except FileNotFoundError:
        return path
    top = os.readlink(f'/proc/self/fd/{root}')
    return pathlib.PurePosixPath(end).relative_to(top)


@contextlib.contextmanager
def _folder(root: int, path: pathlib.PurePosixPath) -> Iterator[int]:
    """Give a folder; those that are missing are made, 0755."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    done = pathlib.PurePosixPath('.')
    for part in path.parts:
        with _opened(root, str(done), flags) as above:
            done /= part
            try:
                with _opened(root, str(done), os.O_PATH):
                    pass
            except FileNotFoundError:
                os.mkdir(part, 0o755, dir_fd=above)
                with _opened(root, str(done), flags) as new:
                    _label_as(above, new)
    with _opened(root, str(path), flags) as folder:
        yield folder


def _as_before(folder: int, name: str, target: int) -> None:
    """Give a new file what the old one has: owner, mode, attributes."""
    try:
        # A pipe of the image would have us wait for its other end.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        old = os.open(name, flags, dir_fd=folder)
    except FileNotFoundError:
        os.fchmod(target, 0o644)
        _label_as(folder, target)
        return
    try:
        facts = os.fstat(old)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EEXIST, 'it is there, and no file')
        os.fchown(target, facts.st_uid, facts.st_gid)
        os.fchmod(target, stat.S_IMODE(facts.st_mode))
        for attribute in os.listxattr(old):
            os.setxattr(target, attribute, os.getxattr(old, attribute))
    finally:
        os.close(old)


def _label_as(old: int, new: int) -> None:
    """Give what is new the label that SELinux has for its folder."""
    with contextlib.suppress(OSError):
        os.setxattr(new, _LABEL, os.getxattr(old, _LABEL))


@contextlib.contextmanager
def _opened(root: int, path: str, flags: int) -> Iterator[int]:
    """Open a path below a folder as if that were the root of all."""
    how = struct.pack(
        'QQQ',
        flags | os.O_CLOEXEC,
        0,
        _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS,
    )
    handle: int = _libc.syscall(
        _OPENAT2, root, os.fsencode(path), how, len(how)
    )
    if handle < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    try:
        yield handle
    finally:
        os.close(handle)
