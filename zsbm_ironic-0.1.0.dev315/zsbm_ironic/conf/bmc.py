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
            'was seen in another state twice running takes a task, in which '
            'ironic does what it does about it. 0 leaves it to ironic alone; '
            'below 5 a slow BMC has no rest between questions.'
        ),
    ),
    cfg.IntOpt(
        'power_poll_workers',
        default=8,
        min=1,
        max=256,
        help=(
            'BMCs that power_poll_s asks at a time. Too few and some dead '
            'BMCs delay the others; each takes a thread.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
