# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_bmc]: how the conductor talks to BMCs."""

from oslo_config import cfg

GROUP = cfg.OptGroup(name='zsbm_bmc', title='BMCs of zsbm nodes')

OPTS = [
    cfg.BoolOpt(
        'hold_sessions',
        default=True,
        mutable=True,
        help=(
            'Keep a session with each BMC open between questions. A BMC has '
            'four or five slots; set this to False where other tools need '
            'them all: each question then costs a login.'
        ),
    ),
    cfg.StrOpt(
        'certificate_dir',
        default='$state_path/zsbm-certificates',
        help=(
            'Directory, owned by the conductor, for the pinned certificates '
            'of BMCs (driver_info bmc_cert_fingerprint). Its path appears in '
            'redfish_verify_ca of those nodes, so all conductors must use '
            'the same one.'
        ),
    ),
    cfg.IntOpt(
        'power_poll_s',
        default=0,
        min=0,
        max=3600,
        help=(
            'Seconds between two looks at the power state of each zsbm node, '
            'beside [conductor]sync_power_state_interval. Only a node that '
            'was seen in another state twice, a second apart, takes a task, '
            'in which ironic does what it does about it. With 4 a change is '
            'known within 6 seconds. 0 leaves it to ironic alone; below 4 a '
            'slow BMC has no rest between questions. A BMC that speaks '
            'Redfish is asked every redfish_poll_s.'
        ),
    ),
    cfg.IntOpt(
        'redfish_poll_s',
        default=30,
        min=5,
        max=3600,
        help=(
            'Seconds between two looks of power_poll_s at a node whose BMC '
            'speaks Redfish: an answer costs a small BMC a hundred times '
            'what one by IPMI does. Low values slow the web page of such a '
            'BMC down; high ones show a change late.'
        ),
    ),
    cfg.BoolOpt(
        'redfish_events',
        default=True,
        mutable=True,
        help=(
            'Keep a connection open on which a Redfish BMC tells that '
            'something happened (server-sent events), where it offers one, '
            'and ask it then, beside redfish_poll_s. Only with power_poll_s '
            'and hold_sessions.'
        ),
    ),
    cfg.IntOpt(
        'power_poll_workers',
        default=8,
        min=1,
        max=256,
        help=(
            'BMCs that power_poll_s logs in to, or asks by Redfish, at a '
            'time; held IPMI sessions take no worker. Each takes a thread, '
            'and up to four times as many where BMCs take longer than a '
            'second. Too few, and a conductor that starts knows its nodes '
            'late.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
