# SPDX-License-Identifier: Apache-2.0
"""What a conductor has to enable for hardware type `zsbm`.

Called by `config`, which prints it, and by `check`, which looks for it. The
names of ours come from the entry points of the installed package, so that a
new interface is asked for without a change here.
"""

import functools
import importlib.metadata

from oslo_config import cfg

from zsbm_ironic.status import host

DISTRIBUTION = 'zsbm-ironic'
HARDWARE_TYPE = 'zsbm'
INTERFACE_GROUP = 'ironic.hardware.interfaces.'
INTERFACES = (
    'bios',
    'boot',
    'console',
    'deploy',
    'firmware',
    'inspect',
    'management',
    'network',
    'power',
    'raid',
    'rescue',
    'storage',
    'vendor',
)

SERIAL_CONSOLE = 'ipmitool-socat'
# Of ours, the network interface that works by ironic-networking.
WITHOUT_NEUTRON = 'zsbm-vlan'

# Upstream's interfaces that a `zsbm` node uses, as far as the host can load
# them.
FROM_UPSTREAM = {
    'bios': ('no-bios', 'redfish'),
    'console': ('no-console', SERIAL_CONSOLE),
    'firmware': ('no-firmware', 'redfish'),
    'inspect': ('agent',),
    'raid': ('no-raid', 'agent', 'redfish'),
    'rescue': ('no-rescue', 'agent'),
    'vendor': ('no-vendor',),
}

# Hooks that learn what a deploy needs to know: IPMI cannot tell the boot
# mode, and upstream's default list does not look.
INSPECTION_HOOKS = ('boot-mode',)


@functools.cache
def ours(interface: str) -> tuple[str, ...]:
    """Return the names of our interfaces of one type, sorted."""
    group = INTERFACE_GROUP + interface
    found = importlib.metadata.distribution(DISTRIBUTION).entry_points
    return tuple(sorted(one.name for one in found.select(group=group)))


def enabled_option(interface: str) -> str:
    """Return the name of the option in [DEFAULT]."""
    return f'enabled_{interface}_interfaces'


def loadable(name: str) -> bool:
    """Say whether the host has the programs that an interface starts."""
    if not name.startswith('ipmi'):
        return True
    if host.lacking_ipmitool():
        return False
    return name != SERIAL_CONSOLE or host.has_program('socat')


def wanted_interfaces(interface: str) -> tuple[str, ...]:
    """Return what must be enabled of one interface type, ours first."""
    upstream = FROM_UPSTREAM.get(interface, ())
    return ours(interface) + tuple(filter(loadable, upstream))


def hardware_types(conf: cfg.ConfigOpts) -> tuple[list[str], list[str]]:
    """Return (types to enable, types left out for want of a program)."""
    present = list(conf.enabled_hardware_types)
    left_out = [name for name in present if not loadable(name)]
    kept = [name for name in present if name not in left_out]
    return _with(kept, (HARDWARE_TYPE,)), left_out


def interfaces(conf: cfg.ConfigOpts, interface: str) -> list[str] | None:
    """Return the list to enable, or None where ironic works it out itself.

    What ironic.conf enables already comes first and stays, but for what
    could not be loaded on this host.
    """
    present = getattr(conf, enabled_option(interface))
    if not present:
        return None
    kept = [name for name in present if loadable(name)]
    wanted = wanted_interfaces(interface)
    if interface == 'network':
        wanted = tuple(name for name in wanted if _makes_networks(conf, name))
    return _with(kept, wanted)


def _makes_networks(conf: cfg.ConfigOpts, interface: str) -> bool:
    """Say whether what a network interface works by is configured."""
    group = (
        conf.ironic_networking
        if interface == WITHOUT_NEUTRON
        else conf.neutron
    )
    return bool(group.cleaning_network or group.provisioning_network)


def console_ports(conf: cfg.ConfigOpts) -> str:
    """Return [console]port_range as it is written, empty where unset."""
    return ','.join(
        f'{ports.start}:{ports.stop}'
        for ports in conf.console.port_range or ()
    )


def hooks(conf: cfg.ConfigOpts) -> str:
    """Return [inspector]hooks with what we need added."""
    present = [word.strip() for word in conf.inspector.hooks.split(',')]
    default = conf.inspector.default_hooks.split(',')
    if present == [word.strip() for word in default]:
        words = ['$default_hooks']
    else:
        words = present
    return ','.join(
        words + [hook for hook in INSPECTION_HOOKS if hook not in present]
    )


def _with(present: list[str], more: tuple[str, ...]) -> list[str]:
    return present + [name for name in more if name not in present]
