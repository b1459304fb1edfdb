# SPDX-License-Identifier: Apache-2.0
"""The cloud that is asked for servers and images."""

from typing import Any

from zsbm_ironic.image import exception


def sdk() -> Any:
    """Return the module openstack; only where a cloud is asked.

    :raises SdkMissing: the extra `cli` is not installed.
    """
    try:
        import openstack
    except ImportError as exc:
        raise exception.SdkMissing from exc
    return openstack
