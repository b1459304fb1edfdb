# SPDX-License-Identifier: Apache-2.0
"""A folder of built things, each named by the hash of what it is made from.

Called by whatever builds for minutes or downloads: deploy ramdisk, test OS
image, boot loaders. Owns `<root>/<kind>/<digest>/`. An entry appears by one
rename when its builder ended well, so a half-built one is never taken, not
after kill -9 or a full disk either; parallel builders of one kind wait for
each other by a lock that dies with its holder. Entries outlive every process;
of each kind the most recently used are kept.
"""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping

from zsbm_ironic.common import exception, progress

KEPT_ENTRIES = 3
_PARTIAL = '.partial-'

Builder = Callable[[pathlib.Path, progress.Progress], None]


def digest(parts: Mapping[str, str | bytes]) -> str:
    """Return the SHA-256 of named parts, the same whatever their order.

    :param parts: content by name; names keep two parts from running together.
    :returns: the first 20 hex digits (80 bits), enough to name an entry.
    """
    total = hashlib.sha256()
    for name in sorted(parts):
        content = parts[name]
        data = content.encode() if isinstance(content, str) else content
        total.update(f'{name}\0{len(data)}\0'.encode())
        total.update(data)
    return total.hexdigest()[:20]


@dataclasses.dataclass(frozen=True)
class Artifacts:
    """The cache: one folder with a sub-folder for each kind of entry.

    :ivar root: folder of all kinds.
    :ivar kept: entries of a kind that stay when a new one was added.
    :ivar refresh: build also what is there, from what mirrors have now.
    :ivar report: what builders say how far they are to.
    """

    root: pathlib.Path
    kept: int = KEPT_ENTRIES
    refresh: bool = False
    report: progress.Progress = dataclasses.field(
        default_factory=progress.Progress
    )

    def find(self, kind: str, key: str) -> pathlib.Path | None:
        """Return the folder of a finished entry and mark it as used.

        :returns: None where there is none, or where it is to be built again.
        """
        folder = self.root / kind / key
        if self.refresh or not folder.is_dir():
            return None
        with contextlib.suppress(OSError):  # a cache that we may only read
            os.utime(folder)
        return folder

    def get(
        self,
        kind: str,
        key: str,
        build: Builder,
        *,
        needs_bytes: int = 0,
    ) -> pathlib.Path:
        """Return the folder of an entry, building it first where missing.

        :param build: fills the empty folder that it is given, next to the
            report; what it raises goes to the caller, and nothing is kept.
        :param needs_bytes: free space without which building is not tried.
        :raises DiskTooSmall: less than needs_bytes free, or full on the way.
        """
        if found := self.find(kind, key):
            return found
        try:
            with self._locked(kind):
                # Another builder may have made it while this one waited.
                if found := self.find(kind, key):
                    return found
                return self._build(kind, key, build, needs_bytes)
        except (OSError, exception.ZsbmError) as exc:
            if not _is_full(exc):
                raise
            raise self._too_small(needs_bytes) from exc

    def _build(
        self,
        kind: str,
        key: str,
        build: Builder,
        needs_bytes: int,
    ) -> pathlib.Path:
        folder = self.root / kind
        self._sweep(folder)
        if shutil.disk_usage(folder).free < needs_bytes:
            raise self._too_small(needs_bytes)
        partial = folder / f'{_PARTIAL}{key}'
        partial.mkdir()
        try:
            build(partial, self.report)
            os.sync()  # the rename must not reach the disk before the data
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        target = folder / key
        if target.exists():
            target.rename(folder / f'{_PARTIAL}old-{key}')
        partial.rename(target)
        os.utime(target)
        self._sweep(folder)
        self._prune(folder)
        return target

    def _prune(self, folder: pathlib.Path) -> None:
        entries = [
            entry
            for entry in folder.iterdir()
            if entry.is_dir() and not entry.name.startswith('.')
        ]
        entries.sort(key=lambda entry: entry.stat().st_mtime, reverse=True)
        for entry in entries[self.kept :]:
            # Renamed first: an entry is there whole or not at all.
            doomed = folder / f'{_PARTIAL}old-{entry.name}'
            entry.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    @staticmethod
    def _sweep(folder: pathlib.Path) -> None:
        """Remove what a dead builder left; the caller holds the lock."""
        for left in folder.glob(f'{_PARTIAL}*'):
            shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self, kind: str) -> Iterator[None]:
        folder = self.root / kind
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / '.lock').open('w') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.report.say(f'{kind}: waiting for another builder')
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _too_small(self, needs_bytes: int) -> exception.DiskTooSmall:
        return exception.DiskTooSmall(
            folder=self.root,
            free_mib=shutil.disk_usage(self.root).free >> 20,
            needed_mib=needs_bytes >> 20,
        )


def _is_full(exc: OSError | exception.ZsbmError) -> bool:
    """Return whether a disk was full: for us, or for a program we ran."""
    if isinstance(exc, OSError):
        return exc.errno in (errno.ENOSPC, errno.EDQUOT)
    return os.strerror(errno.ENOSPC) in str(exc)
