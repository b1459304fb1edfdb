# SPDX-License-Identifier: Apache-2.0
"""Checks of what the conductor is told: types, interfaces, ramdisks.

Each is a function of the configuration that yields findings; they read files
of this host and contact nobody.
"""

import importlib.metadata
import os
import pathlib
import urllib.parse
from collections.abc import Iterator

from oslo_config import cfg

from zsbm_ironic.status import host, wanted
from zsbm_ironic.status.findings import Finding, fail, ok, warn

# In the order in which openstack.baremetal.configdrive of openstacksdk, by
# which ironic builds them, tries them.
CONFIG_DRIVE_BUILDERS = ('genisoimage', 'mkisofs', 'xorrisofs')
FRAGMENT = 'Take the lines that `zsbm-status config` prints.'


def hardware_type(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """The type is enabled, and nothing that would not load is."""
    name = '[DEFAULT]enabled_hardware_types'
    types = conf.enabled_hardware_types
    if wanted.HARDWARE_TYPE in types:
        yield ok(name, ','.join(types))
    else:
        yield fail(name, f'no zsbm in {",".join(types)}', FRAGMENT)
    yield from _unloadable(name, 'ironic.hardware.types', types)


def interfaces(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Every interface of ours is enabled; every enabled one exists."""
    for interface in wanted.INTERFACES:
        option = wanted.enabled_option(interface)
        name = f'[DEFAULT]{option}'
        enabled = getattr(conf, option)
        if enabled is None:
            yield ok(name, 'worked out by ironic from the types')
            continue
        missing = [
            one
            for one in wanted.interfaces(conf, interface) or ()
            if one not in enabled
        ]
        ours = set(missing) & set(wanted.ours(interface))
        if ours:
            yield fail(name, f'no {", ".join(sorted(ours))}', FRAGMENT)
        elif missing:
            yield warn(
                name,
                f'no {", ".join(missing)}: zsbm nodes cannot use it',
                FRAGMENT,
            )
        else:
            yield ok(name, ','.join(enabled))
        group = wanted.INTERFACE_GROUP + interface
        yield from _unloadable(name, group, enabled)


def _unloadable(
    name: str, group: str, enabled: list[str]
) -> Iterator[Finding]:
    known = {one.name for one in importlib.metadata.entry_points(group=group)}
    unknown = [one for one in enabled if one not in known]
    if unknown:
        yield fail(
            name,
            f'{", ".join(unknown)} is not installed: the conductor does not '
            'start',
            f'Take it out of {name}, or install what provides it.',
        )
    needy = [one for one in enabled if not wanted.loadable(one)]
    if needy:
        lacking = 'ipmitool' if host.lacking_ipmitool() else 'socat'
        yield fail(
            name,
            f'{", ".join(needy)} needs {lacking}, which this host lacks: '
            'the conductor does not start',
            f'apt-get install {lacking}, or take it out of {name}.',
        )


def defaults(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """No default_*_interface takes zsbm nodes away from ours."""
    for interface in ('power', 'management', 'boot', 'deploy', 'vendor'):
        option = f'default_{interface}_interface'
        value = getattr(conf, option)
        if value is not None and value not in wanted.ours(interface):
            yield warn(
                f'[DEFAULT]{option}',
                f'{value}: new zsbm nodes get it instead of ours',
                'Unset it: each hardware type has a default of its own.',
            )


def autodetect(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Our deploy interface is not among those that autodetect tries."""
    name = '[DEFAULT]autodetect_deploy_interfaces'
    names = conf.autodetect_deploy_interfaces
    if wanted.HARDWARE_TYPE in names:
        yield fail(
            name,
            'zsbm is in it: stock nodes with deploy interface autodetect '
            'would be switched to an interface that they do not support',
            f'Take zsbm out of {name}.',
        )
    else:
        yield ok(name, ','.join(names))


def dhcp_provider(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Machines get their boot options from somebody who has them."""
    name = '[dhcp]dhcp_provider'
    value = conf.dhcp.dhcp_provider
    if value == 'zsbm':
        yield ok(name, value)
    elif value == 'neutron':
        yield warn(
            name,
            "neutron: Neutron's DHCP carries the boot options",
            'Right where every provisioning subnet has enable_dhcp=true; '
            'else set zsbm.',
        )
    else:
        yield fail(name, f'{value}: zsbm-netboot gets no records', FRAGMENT)


def inspection(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Inspection learns what IPMI cannot tell."""
    name = '[inspector]hooks'
    hooks = conf.inspector.hooks
    lacking = [one for one in wanted.INSPECTION_HOOKS if one not in hooks]
    if lacking:
        yield warn(
            name,
            f'no {", ".join(lacking)}: the boot mode of IPMI nodes stays '
            'unknown until they boot',
            FRAGMENT,
        )
    else:
        yield ok(name, hooks)


def console(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Serial consoles have ports to be reached at."""
    name = '[console]port_range'
    if wanted.SERIAL_CONSOLE not in conf.enabled_console_interfaces:
        return
    ports = wanted.console_ports(conf)
    if ports:
        yield ok(name, ports)
    else:
        yield warn(
            name,
            'not set: each node with a serial console has to name its own '
            'ipmi_terminal_port',
            FRAGMENT,
        )


def ramdisks(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """The kernel and ramdisk of deploy and rescue are there."""
    for role in ('deploy', 'rescue'):
        for part in ('kernel', 'ramdisk'):
            option = f'{role}_{part}'
            name = f'[conductor]{option}'
            value = getattr(conf.conductor, option)
            if value:
                yield _ramdisk(conf, name, value)
            elif role == 'deploy':
                yield fail(
                    name,
                    'not set: only nodes that name their own can be deployed',
                    FRAGMENT,
                )
            else:
                yield warn(name, 'not set: rescue does not work', FRAGMENT)


def _ramdisk(conf: cfg.ConfigOpts, name: str, value: str) -> Finding:
    url = urllib.parse.urlparse(value)
    if url.scheme != 'file':
        return ok(name, value)
    path = pathlib.PurePath(url.path)
    allowed = conf.conductor.file_url_allowed_paths
    if not any(path.is_relative_to(str(one)) for one in allowed):
        return fail(
            name,
            f'{path} is not below {", ".join(map(str, allowed))}',
            'Move it there, or add its folder to '
            '[conductor]file_url_allowed_paths.',
        )
    if not os.access(path, os.R_OK):
        return fail(
            name,
            f'{path} is missing or cannot be read',
            'Build it with our in-band package inside and put it there.',
        )
    return ok(name, value)


def config_drive(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """There is a program that builds config drives from what users give."""
    del conf
    found = [one for one in CONFIG_DRIVE_BUILDERS if host.has_program(one)]
    if found:
        yield ok('config drives', f'built by {found[0]}')
    else:
        yield warn(
            'config drives',
            f'none of {", ".join(CONFIG_DRIVE_BUILDERS)} is installed: a '
            'deploy with a config drive given as JSON fails at write_image',
            'apt-get install genisoimage',
        )


CHECKS = (
    hardware_type,
    interfaces,
    defaults,
    autodetect,
    dhcp_provider,
    inspection,
    console,
    ramdisks,
    config_drive,
)
