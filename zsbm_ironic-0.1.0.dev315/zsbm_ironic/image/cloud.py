# SPDX-License-Identifier: Apache-2.0
"""The cloud that is asked for servers and images."""

import warnings
from typing import Any

from zsbm_ironic.image import exception


def sdk() -> Any:
    """Return the module openstack; only where a cloud is asked.

    :raises SdkMissing: the extra `cli` is not installed.
    """
    try:
        import openstack
        import openstack.warnings
    except ImportError as exc:
        raise exception.SdkMissing from exc
    # It finds fault with `latest` as a version, which the command line of
    # baremetal wants in the same variable.
    warnings.simplefilter('ignore', openstack.warnings.ConfigurationWarning)
    return openstack
