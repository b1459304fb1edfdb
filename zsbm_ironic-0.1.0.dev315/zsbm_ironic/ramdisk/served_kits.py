# SPDX-License-Identifier: Apache-2.0
"""Kernels for hardware, as the conductor serves them to the ramdisk.

Fetched only when an image wants one, into memory, and used only when it is
what the conductor said.
"""

import contextlib
import hashlib
import pathlib
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import requests
from ironic_python_agent import config, utils

from zsbm_ironic.image import exception, kits, packed_kits

# For the connection, and between two parts of the answer.
_TIMEOUT_S = 60
_PART_BYTES = 1 << 20


def source(
    served: Mapping[str, Mapping[str, Any]], end: contextlib.ExitStack
) -> Callable[[str, str], kits.Kit | None]:
    """Return what gives a kernel to `supplies.Installed`.

    :param served: url, sha256 and size_bytes by `packed_kits.name_of`.
    :param end: takes away what was fetched and mounted.
    """

    def kit_of(identifier: str, architecture: str) -> kits.Kit | None:
        found = served.get(packed_kits.name_of(identifier, architecture))
        if found is None:
            return None
        folder = end.enter_context(
            tempfile.TemporaryDirectory(prefix='zsbm-kit-')
        )
        file = pathlib.Path(folder, 'kit')
        try:
            fetch(found['url'], found['sha256'], found['size_bytes'], file)
        except (requests.RequestException, OSError) as exc:
            raise exception.KitNotFetched(url=found['url'], why=exc) from exc
        return end.enter_context(packed_kits.mounted(file))

    return kit_of


def fetch(
    url: str, sha256: str, size_bytes: int, target: pathlib.Path
) -> None:
    """Write what is at a URL into a file, if it is what was promised.

    :raises KitNotFetched: it is something else.
    :raises OSError: it cannot be written, as where memory is full.
    :raises RequestException: it cannot be read.
    """
    verify, cert = utils.get_ssl_client_options(config.CONF)
    digest, length = hashlib.sha256(), 0
    with (
        requests.get(
            url, stream=True, timeout=_TIMEOUT_S, verify=verify, cert=cert
        ) as answer,
        target.open('wb') as sink,
    ):
        answer.raise_for_status()
        for part in answer.iter_content(_PART_BYTES):
            length += len(part)
            if length > size_bytes:
                break
            digest.update(part)
            sink.write(part)
    if length != size_bytes or digest.hexdigest() != sha256:
        raise exception.KitNotFetched(
            url=url,
            why='its length or its SHA-256 is not the one that the conductor '
            'has',
        )
