# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_network]: servers on their way into networks.

Read by the conductor each time that it is used.
"""

from oslo_config import cfg

GROUP = cfg.OptGroup(
    name='zsbm_network',
    title='Network interfaces zsbm-flat, zsbm-vpc and zsbm-vlan',
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
    cfg.ListOpt(
        'switch_settings',
        default=[],
        help=(
            'Files with sections [genericswitch:NAME] in the format of '
            'networking-generic-switch, usually the ml2_conf.ini of Neutron '
            'or a copy of it: how to log in to each switch. They have '
            'passwords in them; the user of ironic-conductor has to be able '
            'to read them. A switch is only read, never changed. Empty: '
            'switches are not asked, and what they have is not checked.'
        ),
    ),
    cfg.StrOpt(
        'switch_known_hosts',
        help=(
            'File with the SSH host keys of the switches, in the format of '
            'known_hosts: ssh-keyscan writes it. A switch with another key '
            'is given no password. Not set: alt_key_file of its section; '
            'without that any key is taken, as Neutron does by default, and '
            'who can redirect packets of the conductor learns the password.'
        ),
    ),
    cfg.IntOpt(
        'switch_timeout_s',
        default=30,
        min=2,
        max=300,
        help=(
            'Seconds that a switch may take for the login, and again for '
            'each command; a check sends one to three. Too few, and a slow '
            'switch is taken for a silent one; too many, and a check of a '
            'silent one keeps a worker of the conductor for that long.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
