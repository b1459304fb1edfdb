# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_monitoring]: BMC readings for Prometheus, served by a conductor.

Read by the conductor when it starts its periodic tasks and, but for
`enabled`, each time that it reads the BMCs.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    name='zsbm_monitoring', title='Power, health and sensors for Prometheus'
)

OPTS = [
    cfg.BoolOpt(
        'enabled',
        default=False,
        help=(
            'Whether this conductor reads power, health and sensors of the '
            'BMCs of its zsbm nodes and serves them as Prometheus metrics. '
            'Read when the conductor starts.'
        ),
    ),
    cfg.StrOpt(
        'listen',
        default='127.0.0.1:9609',
        regex=(
            r'^((127\.0\.0\.1|\[::1\]):[0-9]{1,5}|'
            r'unix:/[A-Za-z0-9._/@+-]{1,100})$'
        ),
        help=(
            'Where /metrics is served: a loopback address and TCP port, or '
            'unix: and the path of a socket, which gets mode 0660. Other '
            'addresses are refused, since there is no login: put a '
            'reverse proxy with TLS before it for a Prometheus elsewhere.'
        ),
    ),
    cfg.IntOpt(
        'interval_s',
        default=60,
        min=10,
        max=3600,
        help=(
            'Seconds between two readings of each BMC. Low values load '
            'BMCs, which answer some hundred sensors in seconds to half a '
            'minute; high ones show a fault late. Scrapes show the last '
            'reading and never wait for a BMC.'
        ),
    ),
    cfg.IntOpt(
        'workers',
        default=8,
        min=1,
        max=64,
        help=(
            'How many BMCs are read at the same time. Too few, and a round '
            'takes longer than interval_s (baremetal_round_seconds shows '
            'it); too many cost threads of the conductor.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
