# SPDX-License-Identifier: Apache-2.0
"""Whether the system of a server is watched, and what it is told for it.

Called by the deploy interface around the config drive, and by the periodic
task that lists systems. A token is made anew at each deploy; of it, this side
keeps the digest.
"""

import pathlib
import secrets
from typing import Any

from ironic.common import exception as ironic_exception

from zsbm_ironic.conf import CONF, monitoring
from zsbm_ironic.drivers import exception as drivers_exception
from zsbm_ironic.monitoring import install, push
from zsbm_ironic.ramdisk import switches

SWITCH = 'zsbm_os_metrics'
# Where a person writes the address of a system that nobody else knows.
ADDRESS = 'zsbm_os_address'
# Key of driver_internal_info: digest of the token, and the conductor that
# the system pushes to.
RECORD = 'zsbm_push'


def mode(node: Any) -> str:
    """Return one of conf.monitoring.OS_METRICS.

    :param node: a node, or anything with its name, uuid and instance_info.
    :raises InvalidParameterValue: the switch is at none of them.
    """
    value = switches.said(node.instance_info, SWITCH)
    if value is None:
        return str(CONF.zsbm_monitoring.os_metrics)
    if value not in monitoring.OS_METRICS:
        raise ironic_exception.InvalidParameterValue(
            str(
                drivers_exception.SwitchInvalid(
                    node=node.name or node.uuid,
                    key=SWITCH,
                    value=value,
                    known=', '.join(monitoring.OS_METRICS),
                )
            )
        )
    return str(value)


def validate(node: Any) -> None:
    """Check the switch, and that there is somewhere to push to.

    :raises InvalidParameterValue: it cannot be as it is.
    """
    settings = CONF.zsbm_monitoring
    taken = settings.enabled and settings.push_listen and settings.push_url
    if mode(node) == monitoring.PUSH and not taken:
        raise ironic_exception.InvalidParameterValue(
            str(
                drivers_exception.NowhereToPush(
                    node=node.name or node.uuid,
                    key=SWITCH,
                    conductor=CONF.host,
                )
            )
        )


def script(node: Any) -> str | None:
    """Return what cloud-init is to run; None: nothing.

    A token is made where one is needed; the caller saves the node.

    :raises InvalidParameterValue: see `validate`; or
        [zsbm_monitoring]push_ca_file cannot be read.
    """
    validate(node)
    settings = CONF.zsbm_monitoring
    chosen = mode(node)
    if RECORD in node.driver_internal_info:
        node.del_driver_internal_info(RECORD)
    if chosen == monitoring.PULL:
        return install.script(settings.os_port)
    if chosen != monitoring.PUSH:
        return None
    token = secrets.token_urlsafe(32)
    node.set_driver_internal_info(
        RECORD, {'sha256': push.digest(token), 'conductor': CONF.host}
    )
    return install.script(
        settings.os_port,
        install.Push(
            f'{settings.push_url.rstrip("/")}{push.PATH}{node.uuid}',
            token,
            _ca(node),
        ),
    )


def _ca(node: Any) -> str:
    file = CONF.zsbm_monitoring.push_ca_file
    if not file:
        return ''
    try:
        return pathlib.Path(file).read_text()
    except (OSError, ValueError) as exc:
        raise ironic_exception.InvalidParameterValue(
            str(
                drivers_exception.PushCaUnreadable(
                    node=node.name or node.uuid,
                    file=file,
                    conductor=CONF.host,
                    problem=getattr(exc, 'strerror', None) or exc,
                )
            )
        ) from exc
