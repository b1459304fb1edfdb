# SPDX-License-Identifier: Apache-2.0
"""Verdicts as a property of an image in Glance.

Ironic hands an image's properties to its deploy interface, so that a conductor
needs no folder of its own.
"""

import hashlib
import pathlib
from collections.abc import Mapping

from zsbm_ironic.image import cloud, exception, hardware, verdict, verdicts

_PATCH = 'application/openstack-images-v2.1-json-patch'
# A text of MySQL; what does not fit would be cut off.
_MOST_BYTES = 60_000


def keep(
    reference: str,
    cloud_name: str | None,
    image: pathlib.Path,
    found: Mapping[hardware.Hardware, verdict.Verdict],
    *,
    untouched: bool,
) -> str:
    """Add verdicts to an image in Glance; return its ID.

    :param reference: name or ID.
    :param cloud_name: entry of clouds.yaml; None: what the environment says.
    :param image: the file that was judged; it has to be the same.
    :raises GlanceNotTold: it is not there, or another, or full of verdicts.
    :raises SdkMissing: see `cloud.sdk`.
    """
    sdk = cloud.sdk()
    try:
        service = sdk.connect(cloud_name).image
        there = service.find_image(reference, ignore_missing=False)
        if _digest(image, there.hash_algo) != there.hash_value:
            raise exception.GlanceNotTold(
                image=reference,
                why='it is not the file that was checked '
                f'({there.hash_algo} differs)',
            )
        known = (there.properties or {}).get(verdicts.PROPERTY, '')
        text = verdicts.merged(known, image.name, found, untouched=untouched)
        if len(text) > _MOST_BYTES:
            raise exception.GlanceNotTold(
                image=reference, why='it has no room for more verdicts'
            )
        # update_image of the SDK would take other properties away.
        answer = service.patch(
            f'/images/{there.id}',
            json=[
                {'op': 'add', 'path': f'/{verdicts.PROPERTY}', 'value': text}
            ],
            headers={'Content-Type': _PATCH},
        )
        sdk.exceptions.raise_from_response(answer)
    except sdk.exceptions.SDKException as exc:
        raise exception.GlanceNotTold(image=reference, why=exc) from exc
    identifier: str = there.id
    return identifier


def _digest(image: pathlib.Path, algorithm: str | None) -> str | None:
    if algorithm is None or algorithm not in hashlib.algorithms_available:
        return None
    with image.open('rb') as source:
        return hashlib.file_digest(source, algorithm).hexdigest()
