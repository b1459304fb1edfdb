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
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
