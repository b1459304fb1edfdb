# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status config`: a complete ironic.conf fragment for this host.

Everything that the conductor and zsbm-netboot need beyond what a working
ironic.conf has, worked out from the present file and the host. What the file
enables stays enabled; what was guessed says so.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable, Sequence

from oslo_config import cfg

from zsbm_ironic.conf import netboot
from zsbm_ironic.status import host, wanted

SMALLEST_SUBNET = 16
CONSOLE_PORTS = '10000:20000'
# Of [zsbm_netboot], what is said in any case.
WORKED_OUT = (
    'http_root',
    'interface',
    'listen_address',
    'subnets',
    'tftp_root',
)
RAMDISK = 'file:///var/lib/ironic/ramdisk/zsbm-agent'


@dataclasses.dataclass(frozen=True)
class Setting:
    """One line of the fragment.

    :ivar why: one sentence that goes above it.
    """

    group: str
    name: str
    value: str
    why: str


def settings(
    conf: cfg.ConfigOpts, address: host.Address, how: str
) -> list[Setting]:
    """Return every setting for a conductor with this configuration.

    :param address: this host on the provisioning network.
    :param how: how that address was chosen.
    """
    return [
        *_enabled(conf),
        *_ramdisk(conf),
        *_console(conf),
        *_boot(conf, address),
        *_netboot(conf, address, how),
    ]


def render(lines: Iterable[Setting], sources: Sequence[str]) -> str:
    """Return the fragment as text of an INI file."""
    text = [
        '# Settings for zsbm-ironic on this host, made by `zsbm-status '
        'config`',
        f'# from {", ".join(sources) or "the defaults of ironic"}.',
        '# Put it into a file that is read after ironic.conf, such as one in',
        '# /etc/ironic/ironic.conf.d, then run `zsbm-status check`.',
    ]
    group = None
    for line in lines:
        if line.group != group:
            group = line.group
            text += ['', f'[{group}]']
        text += [f'# {line.why}', f'{line.name} = {line.value}']
    return '\n'.join(text) + '\n'


def _enabled(conf: cfg.ConfigOpts) -> Iterable[Setting]:
    types, left_out = wanted.hardware_types(conf)
    why = 'Hardware types: yours, and zsbm.'
    if left_out:
        why += (
            f' {", ".join(left_out)} left out: this host has no ipmitool, '
            'so the conductor would not start.'
        )
    yield Setting('DEFAULT', 'enabled_hardware_types', ','.join(types), why)
    for interface in wanted.INTERFACES:
        names = wanted.interfaces(conf, interface)
        if names is None:
            continue
        yield Setting(
            'DEFAULT',
            wanted.enabled_option(interface),
            ','.join(names),
            f'What is enabled now, and what zsbm uses for {interface}.',
        )


def _console(conf: cfg.ConfigOpts) -> Iterable[Setting]:
    if wanted.SERIAL_CONSOLE in wanted.wanted_interfaces('console'):
        yield Setting(
            'console',
            'port_range',
            wanted.console_ports(conf) or CONSOLE_PORTS,
            'TCP ports of serial consoles, one for each that is open.',
        )


def _ramdisk(conf: cfg.ConfigOpts) -> Iterable[Setting]:
    for role in ('deploy', 'rescue'):
        for part, ending in (('kernel', 'kernel'), ('ramdisk', 'initramfs')):
            name = f'{role}_{part}'
            present = getattr(conf.conductor, name)
            yield Setting(
                'conductor',
                name,
                present or f'{RAMDISK}.{ending}',
                'As it is now: it needs our in-band package inside.'
                if present
                else 'Put the agent image with our in-band package there.',
            )
    yield Setting(
        'conductor',
        'disable_zstandard_decompression',
        'true',
        'A kernel unpacks its own initramfs; ironic would inflate it first.',
    )


def _boot(conf: cfg.ConfigOpts, address: host.Address) -> Iterable[Setting]:
    ip = address.address.ip
    port = conf.zsbm_netboot.http_port
    yield Setting(
        'deploy',
        'http_url',
        conf.deploy.http_url or f'http://{ip}:{port}',
        'Where zsbm-netboot serves kernels, ramdisks and images.',
    )
    yield Setting(
        'deploy',
        'http_root',
        conf.deploy.http_root,
        'The folder behind it: the conductor writes, zsbm-netboot reads.',
    )
    yield Setting(
        'dhcp',
        'dhcp_provider',
        'zsbm',
        'One provider serves all nodes of a conductor, stock ones too.',
    )
    yield Setting(
        'inspector',
        'hooks',
        wanted.hooks(conf),
        'IPMI cannot tell the boot mode: inspection learns it.',
    )
    yield Setting(
        'pxe', 'tftp_server', str(ip), 'This host, on the provisioning side.'
    )
    yield Setting(
        'pxe',
        'tftp_root',
        conf.pxe.tftp_root,
        'The folder that TFTP serves.',
    )


def _netboot(
    conf: cfg.ConfigOpts, address: host.Address, how: str
) -> Iterable[Setting]:
    yield Setting(
        'zsbm_netboot',
        'interface',
        address.interface,
        f'Interface on the provisioning network ({how}).',
    )
    yield Setting(
        'zsbm_netboot',
        'listen_address',
        str(address.address.ip),
        'Its address, which machines are told.',
    )
    present = conf.zsbm_netboot.subnets or ()
    for line in present:
        yield Setting(
            'zsbm_netboot',
            'subnets',
            ','.join(f'{key}:{value}' for key, value in line.items()),
            'As it is now.',
        )
    if not present:
        free = _range(address)
        yield Setting(
            'zsbm_netboot',
            'subnets',
            f'cidr:{address.network}' + (f',range:{free}' if free else ''),
            'GUESSED range: take one that nothing else uses; leave range '
            'out where Neutron gives the addresses.',
        )
    for name, value, of in (
        ('tftp_root', conf.pxe.tftp_root, '[pxe]tftp_root'),
        ('http_root', conf.deploy.http_root, '[deploy]http_root'),
    ):
        yield Setting('zsbm_netboot', name, value, f'The same as {of}.')
    yield from _kept(conf)


def _kept(conf: cfg.ConfigOpts) -> Iterable[Setting]:
    """Yield what else is set of the boot service, which reads this file."""
    for option in netboot.OPTS:
        location = conf.get_location(option.name, netboot.GROUP.name)
        if (
            option.name in WORKED_OUT
            or not location.location.is_user_controlled
        ):
            continue
        value = conf[netboot.GROUP.name][option.name]
        yield Setting(
            netboot.GROUP.name, option.name, _text(value), 'As it is now.'
        )


def _text(value: object) -> str:
    """Return a value as a line of a file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return ','.join(f'{key}:{one}' for key, one in value.items())
    if isinstance(value, list):
        return ','.join(map(str, value))
    return str(value)


def _range(address: host.Address) -> str | None:
    """Return the upper quarter of a subnet without us; None if too small."""
    network = address.network
    size = network.num_addresses
    if size < SMALLEST_SUBNET:
        return None
    first = int(network.broadcast_address) - size // 4
    last = int(network.broadcast_address) - 1
    own = int(address.address.ip)
    if first <= own <= last:
        below, above = (first, own - 1), (own + 1, last)
        first, last = max(below, above, key=lambda ends: ends[1] - ends[0])
    ends = (ipaddress.IPv4Address(number) for number in (first, last))
    return '-'.join(str(end) for end in ends)
