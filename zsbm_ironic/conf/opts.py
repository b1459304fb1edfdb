# SPDX-License-Identifier: Apache-2.0
"""What `oslo-config-generator` prints: every group of this package."""

from typing import Any

from zsbm_ironic.conf import bmc, image, monitoring, netboot, network, zsbm

MODULES = (zsbm, bmc, netboot, image, monitoring, network)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return (group name, options) of each room, for oslo.config."""
    return [(module.GROUP.name, module.OPTS) for module in MODULES]
