# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_network]: servers on their way into networks.

Read by the conductor each time that it is used.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    name='zsbm_network', title='Network interfaces zsbm-flat and zsbm-vpc'
)

OPTS = [
    cfg.IntOpt(
        'binding_timeout_s',
        default=60,
        min=5,
        max=600,
        help=(
            'Seconds that a node waits until Neutron has bound its ports and '
            'the switch is configured. Too low, and a slow switch fails '
            'deploys; high values hold a thread of the conductor for each '
            'node whose network does not work.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
