# SPDX-License-Identifier: Apache-2.0
"""What a node, or its image, says of how the image is treated.

Read by the conductor and in the ramdisk, from instance_info, else from the
properties of the image.
"""

import enum
from collections.abc import Mapping
from typing import Any

ADAPT = 'zsbm_adapt_image'
KEEP_IDENTITY = 'zsbm_keep_identity'


class Choice(enum.Enum):
    """When an image is looked at.

    :cvar AUTO: one that nobody can judge, as Windows, is left as it is.
    :cvar ALWAYS: one that nobody can judge stops the deploy.
    :cvar NEVER: no image is.
    """

    AUTO = 'auto'
    ALWAYS = 'always'
    NEVER = 'never'


def said(instance_info: Mapping[str, Any] | None, key: str) -> Any:
    """Return the value of a switch, None where nobody set it."""
    info = instance_info or {}
    value = info.get(key)
    if value is None:
        value = (info.get('image_properties') or {}).get(key)
    return value
