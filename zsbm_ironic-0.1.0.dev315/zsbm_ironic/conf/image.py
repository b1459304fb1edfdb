# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_image]: images, before they are written to servers."""

from oslo_config import cfg

GROUP = cfg.OptGroup(name='zsbm_image', title='Images of zsbm nodes')

OPTS = [
    cfg.StrOpt(
        'verdict_dir',
        default='$state_path/zsbm-verdicts',
        help=(
            'Directory with what `zsbm-image check --keep` found of images, a '
            'file per SHA-256. A deploy of an image that cannot boot on its '
            'server fails at validation then, and one that is known to be '
            'fit is not looked at again on the server. A directory that is '
            'not there holds nothing.'
        ),
    ),
    cfg.StrOpt(
        'kit_dir',
        default='$deploy.http_root/zsbm-kits',
        help=(
            'Directory with kernels for hardware, put there by `zsbm-image '
            'kit build --serve`. A server whose image has a kernel for VMs '
            'alone fetches one. It is in what [deploy]http_root serves, so '
            'that its URL follows from [deploy]http_url.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
