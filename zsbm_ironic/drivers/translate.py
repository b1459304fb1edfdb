# SPDX-License-Identifier: Apache-2.0
"""Errors of the rooms below become ironic's, once, with the node's name.

`@translated` is on each public method of our power and management interface.
What the API should call a bad setting becomes InvalidParameterValue, so that
`node validate` shows it as a reason; everything else a BmcError. Nothing is
logged here: ironic's own handlers log it and record it in node history.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import sushy
from ironic.common import exception as ironic_exception

from zsbm_ironic.common import exception

F = TypeVar('F', bound=Callable[..., Any])


class BmcError(ironic_exception.IronicException):
    """A BMC did not do its part; the message names node and remedy."""

    _msg_fmt = 'Node %(node)s: %(error)s'


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
