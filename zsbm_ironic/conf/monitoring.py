# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_monitoring]: what a conductor serves to Prometheus.

Read by the conductor when it starts its periodic tasks and, but for
`enabled`, each time that it reads the BMCs; `os_metrics` and the `push_*`
also when a server is deployed.
"""

import ipaddress
from typing import Any

from oslo_config import cfg, types

LOCAL = r'((127\.0\.0\.1|\[::1\]):[0-9]{1,5}|unix:/[A-Za-z0-9._/@+-]{1,100})'


class _Network(types.String):
    """A network, as 10.1.0.0/16; with bits beyond its prefix it is none."""

    def __call__(self, value: Any) -> str:
        return str(ipaddress.ip_network(super().__call__(value)))


# Where the figures of a system come from, see `os_metrics`.
OFF, PRESENT, PULL, PUSH = OS_METRICS = ('off', 'present', 'pull', 'push')

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
        regex=rf'^{LOCAL}$',
        help=(
            'Where /metrics and /sd are served: a loopback address and TCP '
            'port, or unix: and the path of a socket, which gets mode 0660. '
            'Other addresses are refused, since there is no login: put a '
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
    cfg.StrOpt(
        'os_metrics',
        default=OFF,
        choices=[
            (OFF, 'the system of a server is not watched'),
            (PRESENT, 'its image runs an exporter, which is scraped'),
            (PULL, 'one is installed at deploy, and scraped'),
            (PUSH, 'one is installed at deploy, and pushes'),
        ],
        help=(
            'Whether the system of a deployed server is watched, where '
            'zsbm_os_metrics in its instance_info, or as a property of its '
            'image, does not say. What is installed is told to cloud-init '
            'by the config drive.'
        ),
    ),
    cfg.ListOpt(
        'os_networks',
        item_type=_Network(),
        default=[],
        help=(
            'Networks, as 10.1.0.0/16, in which Prometheus reaches the '
            'systems of servers. Addresses that Neutron or '
            'instance_info zsbm_os_address gives are scraped in these '
            'alone: elsewhere they may belong to somebody else. Those that '
            'zsbm-netboot leases are scraped anyway. Too wide, and a member '
            'can have Prometheus ask hosts that are no servers.'
        ),
    ),
    cfg.PortOpt(
        'os_port',
        default=9100,
        min=1,
        help='TCP port of the exporter in the system of a server.',
    ),
    cfg.StrOpt(
        'push_listen',
        regex=rf'^{LOCAL}$',
        help=(
            'Where pushes of systems are taken that Prometheus does not '
            'reach: a loopback address and TCP port, or unix: and the path '
            'of a socket. Others are refused: put nginx with TLS before it. '
            'Unset: none are taken.'
        ),
    ),
    cfg.StrOpt(
        'push_url',
        regex=r'^https://[A-Za-z0-9.:\[\]_-]{1,255}$',
        help=(
            'Where servers reach push_listen of this conductor, as '
            'https://watch.example.org:9610. Servers get it when they are '
            'deployed.'
        ),
    ),
    cfg.StrOpt(
        'push_ca_file',
        help=(
            'Certificates, in PEM, by which servers check push_url. They '
            'get them when they are deployed. Unset: those of their system.'
        ),
    ),
    cfg.StrOpt(
        'alertmanager_url',
        regex=r'^https?://[A-Za-z0-9.:\[\]_-]{1,255}(/[A-Za-z0-9._~/-]*)?$',
        help=(
            'Where this conductor asks for alerts, as http://127.0.0.1:9093, '
            'each interval_s, to write their start and end into the history '
            'of nodes. Unset: it does not.'
        ),
    ),
    cfg.StrOpt(
        'alertmanager_ca_file',
        help=(
            'Certificates, in PEM, by which alertmanager_url is checked. '
            'Unset: those of this host.'
        ),
    ),
    cfg.IntOpt(
        'alertmanager_settle_s',
        default=300,
        min=0,
        max=86400,
        help=(
            'For how many seconds after its start Alertmanager is not '
            'believed that an alert is over: it forgets alerts when it '
            'ends, until Prometheus has sent them again, which takes an '
            'evaluation_interval and a minute. Too low, and history tells '
            'of ends that were none; high values tell ends late.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
