# SPDX-License-Identifier: Apache-2.0
"""Errors of the rooms below become ironic's, once, with the node's name.

`@translated` is on each public method of our power and management interface.
What the API should call a bad setting becomes InvalidParameterValue, so that
`node validate` shows it as a reason; everything else a BmcError. Nothing is
logged here: ironic's own handlers log it and record it in node history.
"""

import errno
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import sushy
from ironic.common import exception as ironic_exception
from ironic.conf import CONF

from zsbm_ironic.common import exception
from zsbm_ironic.drivers import exception as drivers_exception

NO_ROOM = f'[Errno {errno.ENOSPC}]'

F = TypeVar('F', bound=Callable[..., Any])


class BmcError(ironic_exception.IronicException):
    """A BMC did not do its part; the message names node and remedy."""

    _msg_fmt = 'Node %(node)s: %(error)s'


class NoRoom(ironic_exception.InstanceDeployFailure):
    """The conductor's disk is full; the message names node and remedy."""

    _msg_fmt = '%(reason)s'


def translated(method: F) -> F:
    """Let a driver method, whose first argument is a task, raise ironic's."""

    @functools.wraps(method)
    def wrapper(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, task, *args, **kwargs)
        except (exception.ZsbmError, sushy.exceptions.SushyError) as exc:
            raise as_ironic(task.node, exc) from exc

    return wrapper  # type: ignore[return-value]


def as_ironic(node: Any, exc: Exception) -> ironic_exception.IronicException:
    """Return the ironic exception for one of ours or of sushy's."""
    name = node.name or node.uuid
    if isinstance(exc, exception.BmcSettingMissing):
        return ironic_exception.MissingParameterValue(f'Node {name}: {exc}')
    if isinstance(exc, exception.FixSettings):
        return ironic_exception.InvalidParameterValue(f'Node {name}: {exc}')
    return BmcError(node=name, error=str(exc))


def no_room(node: Any, exc: BaseException) -> NoRoom | None:
    """Return what to raise where an error comes of a full disk, else None.

    :param exc: as caught; what it was raised for is looked at as well.
    """
    cause: BaseException | None = exc
    while cause is not None:
        if (
            isinstance(cause, ironic_exception.InsufficientDiskSpace)
            or (isinstance(cause, OSError) and cause.errno == errno.ENOSPC)
            or NO_ROOM in str(cause)
        ):
            why = drivers_exception.ConductorDiskFull(
                node=node.name or node.uuid,
                conductor=CONF.host,
                why=str(cause).rstrip('.') + '.',
            )
            return NoRoom(reason=str(why))
        cause = cause.__cause__ or cause.__context__
    return None
