# SPDX-License-Identifier: Apache-2.0
"""Whether a raw image fits the disk, asked before it is written.

Called by the hardware manager. The agent finds out when the disk is full, and
then writes the whole image nine times more, because a disk that is full looks
to it like a download that broke off.
"""

from typing import Any

import requests
from ironic_python_agent import utils as agent_code
from oslo_config import cfg
from oslo_log import log

LOG = log.getLogger(__name__)
ASKING_S = 10


def length_of(image_info: dict[str, Any]) -> int | None:
    """Return how many bytes will be written, None where that is unknown.

    Only a raw image has on disk the size that it has on the wire. A server
    that does not answer HEAD, or wants a login, is left to the agent.

    :param image_info: what the conductor tells the step write_image.
    """
    urls = image_info.get('urls') or ()
    if image_info.get('disk_format') != 'raw' or not urls:
        return None
    verify, certificate = agent_code.get_ssl_client_options(cfg.CONF)
    try:
        answer = requests.head(
            urls[0],
            verify=verify,
            cert=certificate,
            proxies=image_info.get('proxies') or {},
            timeout=ASKING_S,
            allow_redirects=True,
        )
        answer.raise_for_status()
        # Compressed on the way: the length is not that of the image.
        if answer.headers.get('Content-Encoding', 'identity') != 'identity':
            return None
        return int(answer.headers['Content-Length'])
    except (requests.RequestException, KeyError, ValueError) as exc:
        LOG.info('The size of the image is not known beforehand: %s', exc)
        return None
