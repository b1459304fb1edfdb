# SPDX-License-Identifier: Apache-2.0
"""Options of every room, one module a group, registered on import.

A conductor reads them from ironic.conf; `zsbm-netboot` from the same file or
one of its own. Imports no ironic. Values are read when they are used, so that
a reload takes effect.
"""

from oslo_config import cfg

from zsbm_ironic.conf import bmc, image, monitoring, netboot, network, zsbm

CONF = cfg.CONF

zsbm.register_opts(CONF)
bmc.register_opts(CONF)
netboot.register_opts(CONF)
network.register_opts(CONF)
image.register_opts(CONF)
monitoring.register_opts(CONF)
network.register_opts(CONF)
