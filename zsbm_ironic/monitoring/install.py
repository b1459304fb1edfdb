# SPDX-License-Identifier: Apache-2.0
"""What cloud-init does in a new system so that it is watched.

A script that goes into the vendor data of the config drive, where cloud-init
runs it beside all that is in user data, which is left as it is, in whatever
format: lists of cloud-config in both would take each other's place.
"""

import dataclasses
import importlib.resources
import re
import shlex
from typing import Any

# The second line of the script, by which ours is found again.
MARK = '# zsbm-ironic: the exporter of this system'
# Key of vendor data that cloud-init reads (cloudinit.sources,
# convert_vendordata): text, or a list of texts.
KEY = 'cloud-init'
_URL = re.compile(r'https://[A-Za-z0-9.:\[\]_-]{1,255}/[A-Za-z0-9/_-]{1,255}')
_TOKEN = re.compile(r'[A-Za-z0-9_-]{20,128}')


@dataclasses.dataclass(frozen=True)
class Push:
    """Where a system pushes to.

    :ivar url: with the UUID of its node.
    :ivar ca: certificates in PEM; empty: those of the system.
    """

    url: str
    token: str = dataclasses.field(repr=False)
    ca: str = ''


def script(port: int, push: Push | None = None) -> str:
    """Return the script.

    :param port: where the exporter listens: on all addresses to be scraped,
        on loopback alone where it pushes.
    :raises ValueError: url or token are none.
    """
    if push and not (
        _URL.fullmatch(push.url) and _TOKEN.fullmatch(push.token)
    ):
        raise ValueError('the URL or the token of pushes cannot be used')
    values = {
        'port': str(port),
        'push_url': push.url if push else '',
        'token': push.token if push else '',
        'ca': push.ca.strip() if push else '',
    }
    head = ''.join(
        f'zsbm_{name}={shlex.quote(value)}\n' for name, value in values.items()
    )
    folder = importlib.resources.files('zsbm_ironic.monitoring')
    body = folder.joinpath('install_exporter.sh').read_text()
    return f'#!/bin/sh\n{MARK}\nzsbm_root="${{zsbm_root:-}}"\n{head}\n{body}'


def merged(vendor_data: dict[str, Any], ours: str | None) -> dict[str, Any]:
    """Return vendor data with our script in place of an earlier one.

    :param ours: None takes it out.
    :raises ValueError: what cloud-init would refuse is there already.
    """
    said = vendor_data.get(KEY) or []
    parts = [said] if isinstance(said, str) else said
    if not isinstance(parts, list):
        raise ValueError(f'{KEY} of vendor data is neither text nor a list')
    kept = [one for one in parts if not _is_ours(one)]
    if ours is not None:
        kept.append(ours)
    if kept == parts:
        return vendor_data
    rest = {key: value for key, value in vendor_data.items() if key != KEY}
    if not kept:
        return rest
    return {**rest, KEY: kept[0] if len(kept) == 1 else kept}


def _is_ours(part: Any) -> bool:
    return isinstance(part, str) and part.startswith(f'#!/bin/sh\n{MARK}\n')
