# SPDX-License-Identifier: Apache-2.0
"""One password for each account of the cloud, made once, for root alone."""

import json
import pathlib
import secrets
from collections.abc import Iterable, Mapping

from zsbm_ironic.common import whole_file


def load(path: pathlib.Path, accounts: Iterable[str]) -> Mapping[str, str]:
    """Return passwords by account; those that are missing are made."""
    known: dict[str, str] = {}
    if path.exists():
        known = json.loads(path.read_text())
    missing = [name for name in accounts if name not in known]
    if missing:
        known |= {name: secrets.token_hex(16) for name in missing}
        whole_file.write(path, json.dumps(known), mode=0o600)
    return known
