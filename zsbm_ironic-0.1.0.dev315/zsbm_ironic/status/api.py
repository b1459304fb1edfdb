# SPDX-License-Identifier: Apache-2.0
"""The Bare Metal API, as `openstack` would reach it: OS_* or clouds.yaml."""

from collections.abc import Iterator
from typing import Any

from zsbm_ironic.common import exception
from zsbm_ironic.status import exception as status_exception

EXTRA = 'pip install "zsbm-ironic[cli]"'


def connect() -> Any:
    """Return the bare metal proxy of openstacksdk.

    :raises StatusApiUnreachable: no SDK, no cloud named, or no answer.
    """
    try:
        import openstack
    except ImportError as exc:
        raise status_exception.StatusApiUnreachable(
            problem=f'openstacksdk is not installed: {EXTRA}'
        ) from exc
    with _translated():
        return openstack.connect().baremetal


def nodes(proxy: Any) -> Iterator[Any]:
    """Yield every node with all its fields.

    :raises StatusApiUnreachable: no answer.
    """
    with _translated():
        yield from proxy.nodes(details=True)


def node(proxy: Any, name: str) -> Any:
    """Return one node by name or UUID.

    :raises StatusApiUnreachable: no answer, or no such node.
    """
    with _translated():
        return proxy.get_node(name)


class _translated:
    """Turns any error of SDK, keystoneauth and sockets into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(
            error, exception.ZsbmError
        ):
            raise status_exception.StatusApiUnreachable(
                problem=str(error) or type(error).__name__
            ) from error
