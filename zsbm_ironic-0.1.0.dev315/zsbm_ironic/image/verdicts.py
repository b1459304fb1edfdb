# SPDX-License-Identifier: Apache-2.0
"""Verdicts that are kept: what was found of an image, for which servers.

Written by `zsbm-image check`, read by a conductor before it touches a server.
A file per image, named by its SHA-256, so a changed image has none; or
PROPERTY of the image in Glance, where an image never changes.
A server is known by what a boot depends on, so one check is good for all
servers of a kind.
"""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from zsbm_ironic.common import whole_file
from zsbm_ironic.image import exception, hardware, verdict

PROPERTY = 'zsbm_verdicts'
_SHA256 = re.compile('[0-9a-f]{64}')
_MODE = 0o640
_KEY_CHARS = 32


@dataclasses.dataclass(frozen=True)
class Kept:
    """What is known of an image.

    :ivar untouched: it never ran, so nothing of an identity is in it.
    :ivar servers: verdicts by `key` of the server.
    """

    untouched: bool
    servers: Mapping[str, verdict.Verdict]

    def of(self, server: hardware.Hardware) -> verdict.Verdict | None:
        """Return the verdict for a server, None where there is none."""
        return self.servers.get(key(server))


def key(server: hardware.Hardware) -> str:
    """Return a digest of all that decides whether an image boots there."""
    facts = [
        server.architecture,
        server.firmware.value,
        list(server.disk),
        server.disk_bytes,
        sorted(nic.modalias for nic in server.nics),
    ]
    whole = hashlib.sha256(json.dumps(facts).encode())
    return whole.hexdigest()[:_KEY_CHARS]


def sha256(image: pathlib.Path) -> str:
    """Return the digest of an image file as it is."""
    with image.open('rb') as source:
        return hashlib.file_digest(source, 'sha256').hexdigest()


def keep(
    folder: pathlib.Path,
    image: pathlib.Path,
    verdicts: Mapping[hardware.Hardware, verdict.Verdict],
    *,
    untouched: bool,
) -> pathlib.Path:
    """Add verdicts to what is known of an image; return the file.

    :raises OSError: the folder cannot be written to.
    """
    digest = sha256(image)
    target = folder / f'{digest}.json'
    with _locked(folder):
        try:
            known = target.read_text()
        except FileNotFoundError:
            known = ''
        text = merged(known, image.name, verdicts, untouched=untouched)
        whole_file.write(target, text, mode=_MODE)
    return target


def merged(
    known: str,
    image: str,
    verdicts: Mapping[hardware.Hardware, verdict.Verdict],
    *,
    untouched: bool,
) -> str:
    """Return the text of what was known, with these verdicts added.

    :param known: what was kept before; left out where it is none of ours.
    """
    try:
        servers = dict(json.loads(known)['servers'])
    except (ValueError, KeyError, TypeError):
        servers = {}
    now = datetime.datetime.now(datetime.UTC).isoformat('T', 'seconds')
    for server, one in verdicts.items():
        servers[key(server)] = {
            'name': server.name,
            'kept_at': now,
            **one.data(),
        }
    data = {'image': image, 'untouched': untouched, 'servers': servers}
    return json.dumps(data, indent=1) + '\n'


def read(folder: pathlib.Path, digest: str) -> Kept | None:
    """Return what is known of an image, None where nothing is.

    :param digest: SHA-256 of the image, in hex.
    :raises VerdictsUnreadable: there is a file, and not one of ours.
    """
    if not _SHA256.fullmatch(digest):
        return None
    path = folder / f'{digest}.json'
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise exception.VerdictsUnreadable(where=path, why=exc) from exc
    return parse(text, str(path))


def parse(text: str, where: str) -> Kept:
    """Return what a text says that `merged` made.

    :param where: it was found, for messages.
    :raises VerdictsUnreadable: it is none of ours.
    """
    try:
        data: Any = json.loads(text)
        return Kept(
            bool(data['untouched']),
            {
                name: verdict.from_data(one)
                for name, one in data['servers'].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise exception.VerdictsUnreadable(where=where, why=exc) from exc


@contextlib.contextmanager
def _locked(folder: pathlib.Path) -> Iterator[None]:
    """Let one process at a time change what is in a folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
