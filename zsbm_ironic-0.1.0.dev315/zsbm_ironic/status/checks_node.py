# SPDX-License-Identifier: Apache-2.0
"""Check of one node: its driver_info, and whether its BMC is reached.

The BMC is asked what it speaks, without a login: no password leaves.
"""

from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

from zsbm_ironic.bmc import credentials, detect
from zsbm_ironic.common import exception
from zsbm_ironic.status.findings import Finding, fail, ok


def bmc(conf: cfg.ConfigOpts, node: Any) -> Iterator[Finding]:
    """The settings are complete and the BMC answers from this host."""
    name = f'node {node.name or node.id}'
    try:
        login = credentials.Credentials.from_driver_info(
            node.driver_info, default_verify_ca=conf.zsbm.verify_ca
        )
        found = detect.detect(login)
    except exception.FixSettings as exc:
        yield fail(name, str(exc), 'Correct driver_info of the node.')
    except exception.ZsbmError as exc:
        yield fail(name, str(exc), 'Look at cable, address and firewall.')
    else:
        yield ok(name, f'BMC {login.address} answers {found.protocol.value}')
