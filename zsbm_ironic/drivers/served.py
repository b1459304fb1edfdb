# SPDX-License-Identifier: Apache-2.0
"""What a conductor serves to Prometheus and takes from systems.

Made by the management interface, which every conductor with the type `zsbm`
has exactly once; alive as long as the conductor. Periodic tasks fill it.
"""

import threading
from collections.abc import Callable

from oslo_log import log

from zsbm_ironic.bmc import pool
from zsbm_ironic.conf import CONF
from zsbm_ironic.monitoring import (
    collector,
    discovery,
    exporter,
    push,
    readings,
    serving,
)

LOG = log.getLogger(__name__)


class Served:
    """Boards that are filled, and the servers that show them.

    :ivar board: of readings.
    :ivar directory: of systems that Prometheus scrapes.
    :ivar receiver: of what systems push.
    """

    def __init__(self) -> None:
        self.board = readings.Board()
        self.directory = discovery.Directory()
        self.receiver = push.Receiver()
        self._lock = threading.Lock()
        self._listeners: dict[str, serving.Listener] = {}

    def start(self) -> None:
        """Start what does not run yet; what cannot be is tried again."""
        with self._lock:
            self._listen('listen', self._exporter)
            if CONF.zsbm_monitoring.push_listen:
                self._listen('push_listen', self._push_listener)

    def _listen(
        self, option: str, make: Callable[[str], serving.Listener]
    ) -> None:
        if option in self._listeners:
            return
        address = getattr(CONF.zsbm_monitoring, option)
        try:
            self._listeners[option] = make(address)
        except (OSError, OverflowError) as exc:
            LOG.error(
                'Nothing can be served on [zsbm_monitoring]%s %s: %s. Tried '
                'again in %d s.',
                option,
                address,
                exc,
                CONF.zsbm_monitoring.interval_s,
            )

    def _exporter(self, address: str) -> serving.Listener:
        return exporter.Exporter(
            address,
            collector.ReadingsCollector(self.board, self.receiver, _figures),
            self.directory,
            self.receiver,
        )

    def _push_listener(self, address: str) -> serving.Listener:
        return push.PushListener(address, self.receiver)


def _figures() -> dict[str, float]:
    return {
        'baremetal_interval_seconds': CONF.zsbm_monitoring.interval_s,
        'baremetal_bmc_sessions': len(pool.shared()),
    }
