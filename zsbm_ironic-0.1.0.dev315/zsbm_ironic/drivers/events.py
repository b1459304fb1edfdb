# SPDX-License-Identifier: Apache-2.0
"""What the conductor itself knows of a boot or deploy, for the timeline.

Called by our interfaces; the vendor interface shows it together with what
zsbm-netboot saw. Files outlive the conductor; one that cannot be written
costs the event, never the deploy.
"""

import time

from zsbm_ironic.conf import CONF
from zsbm_ironic.netboot import timeline


def own_timeline() -> timeline.Timeline:
    """Return the timeline that this conductor writes, by node UUID."""
    settings = CONF.zsbm_netboot
    return timeline.Timeline(settings.timeline_dir, settings.timeline_events)


def note(node_uuid: str, source: str, name: str, detail: str = '') -> None:
    """Add an event of this moment.

    :param source: one of timeline.SOURCES.
    """
    event = timeline.Event(time.time(), source, name, detail=detail)
    own_timeline().append(node_uuid, event)
