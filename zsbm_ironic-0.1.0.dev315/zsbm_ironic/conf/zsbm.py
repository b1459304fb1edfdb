# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm]: only what upstream looks up by the hardware type's name.

`ironic.drivers.utils.get_verify_ca` reads `verify_ca` from a group named like
the node's driver; without it every Redfish interface of a `zsbm` node would
fail with NoSuchOptError.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    name='zsbm', title='What upstream looks up for the type zsbm'
)

OPTS = [
    cfg.StrOpt(
        'verify_ca',
        default='True',
        help=(
            'How the TLS certificate of a BMC is verified when the node has '
            'neither bmc_verify_ca nor bmc_cert_fingerprint in driver_info: '
            'True (the default) against the CA bundle of this host, a path '
            'against that CA file or directory, False not at all. False '
            'lets anyone between conductor and BMC read the password; pin '
            'the fingerprint of a self-signed certificate instead.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
