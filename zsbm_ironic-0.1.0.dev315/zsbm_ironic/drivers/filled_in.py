# SPDX-License-Identifier: Apache-2.0
"""What Ironic fills into instance_info for one image, taken out for the next.

Upstream's `build_instance_info_for_deploy` writes digest, format and more of
the image that it prepared next to what the operator wrote, and at a rebuild
holds another image against them. Called by the deploy interface: `remember`
after upstream has written, `without` before it reads again.

The record is in instance_info itself, so it goes when instance_info goes: an
undeploy, or an operator who replaces it, leaves none behind. It has digests
and not values, some of which are secrets.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

RECORD = 'zsbm_filled_in'

# Keys that upstream writes, those in one row only together: an algorithm of
# the operator's does not go with a digest of Ironic's.
_ROWS = (
    ('image_checksum',),
    ('image_os_hash_algo', 'image_os_hash_value'),
    ('image_disk_format',),
    # from Glance
    ('image_container_format',),
    ('image_properties',),
    ('image_tags',),
    # from a registry
    ('image_compression_type',),
    ('image_container_manifest_digest',),
    ('image_filename',),
    ('image_media_type',),
    ('image_request_authorization_secret',),
    ('image_size',),
    ('oci_image_manifest_url',),
)


def remember(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Any]:
    """Return instance_info with a record of what was filled in.

    :param before: as the operator wrote it.
    :param after: as upstream left it.
    """
    changed = [row for row in _ROWS if _of(before, row) != _of(after, row)]
    if not changed:
        return dict(after)
    given = {
        key: before[key] for row in changed for key in row if key in before
    }
    # A redirected image_source is replaced by where it led.
    sources = [_digest(info.get('image_source')) for info in (before, after)]
    return {
        **after,
        RECORD: {
            'sources': sources,
            'filled': {row[0]: _digest(_of(after, row)) for row in changed},
            'given': given,
        },
    }


def without(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return instance_info as the operator wrote it.

    What was filled in is taken out where it still stands; what the operator
    has written over it since stays. For the same image_source, what it had
    replaced comes back: that was said of this image and not of another.
    """
    left = dict(info)
    record = left.pop(RECORD, None)
    if not isinstance(record, dict):
        return left
    same = _digest(left.get('image_source')) in record['sources']
    for row in _ROWS:
        if record['filled'].get(row[0]) != _digest(_of(info, row)):
            continue
        for key in row:
            left.pop(key, None)
            if same and key in record['given']:
                left[key] = record['given'][key]
    return left


def _of(info: Mapping[str, Any], row: tuple[str, ...]) -> list[Any]:
    return [info.get(key) for key in row]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
