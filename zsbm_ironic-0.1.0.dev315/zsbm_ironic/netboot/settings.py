# SPDX-License-Identifier: Apache-2.0
"""Settings of the service, checked once and handed around as one value.

Called by `zsbm-netboot` and its tests. Values that end up in the
configuration files of dnsmasq and nginx are checked here for characters that
those files give a meaning.
"""

import dataclasses
import fcntl
import ipaddress
import os
import pathlib
import re
import socket
import struct

from oslo_config import cfg

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import arch, subnets

SIOCGIFADDR = 0x8915  # linux/sockios.h
_PATH = re.compile(r'/[A-Za-z0-9._/@+-]*')


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the service was told; see the options of [zsbm_netboot]."""

    interface: str
    listen_address: ipaddress.IPv4Address
    subnets: tuple[subnets.Subnet, ...]
    lease_time_s: int
    desired_dir: pathlib.Path
    status_dir: pathlib.Path
    run_dir: pathlib.Path
    tftp_root: pathlib.Path
    http_root: pathlib.Path
    http_port: int
    architectures: tuple[arch.Architecture, ...]
    dnsmasq: pathlib.Path
    nginx: pathlib.Path
    router_advertisements: bool
    rogue_probe_interval_s: int
    known_dhcp_servers: frozenset[str]
    conductor_timeout_s: int
    events: int

    @property
    def http_url(self) -> str:
        """Base URL of what nginx serves."""
        return f'http://{self.listen_address}:{self.http_port}'

    @property
    def lease_file(self) -> pathlib.Path:
        """Dnsmasq's own record of leases; read by the conductor too."""
        return self.status_dir / 'dnsmasq.leases'


def from_conf(conf: cfg.ConfigOpts) -> Settings:
    """Read the options of the service.

    :raises NetbootSettingInvalid: one of them cannot be used.
    """
    group = conf.zsbm_netboot
    if not group.interface:
        raise _invalid('interface', 'the service needs it, and it is unset.')
    lines = subnets.parse(group.subnets or ())
    return Settings(
        interface=group.interface,
        listen_address=_listen_address(group),
        subnets=lines,
        lease_time_s=group.lease_time_s,
        desired_dir=_path(group, 'desired_dir'),
        status_dir=_path(group, 'status_dir'),
        run_dir=_path(group, 'run_dir'),
        tftp_root=_path(group, 'tftp_root'),
        http_root=_path(group, 'http_root'),
        http_port=group.http_port,
        architectures=tuple(arch.by_name(name) for name in group.loaders),
        dnsmasq=_program(group, 'dnsmasq'),
        nginx=_program(group, 'nginx'),
        router_advertisements=group.router_advertisements,
        rogue_probe_interval_s=group.rogue_probe_interval_s,
        known_dhcp_servers=frozenset(
            str(address) for address in group.known_dhcp_servers
        ),
        conductor_timeout_s=group.conductor_timeout_s,
        events=group.timeline_events,
    )


def interface_address(interface: str) -> ipaddress.IPv4Address:
    """Return the first IPv4 address of an interface.

    :raises OSError: no such interface, or none has been given to it.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack('256s', interface.encode())
        answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
    return ipaddress.IPv4Address(answer[20:24])


def _listen_address(group: cfg.ConfigOpts) -> ipaddress.IPv4Address:
    try:
        if group.listen_address:
            return ipaddress.IPv4Address(group.listen_address)
        return interface_address(group.interface)
    except ValueError as exc:
        raise _invalid('listen_address', f'{exc}.') from exc
    except OSError as exc:
        raise _invalid(
            'interface', f'{group.interface} has no IPv4 address ({exc}).'
        ) from exc


def _path(group: cfg.ConfigOpts, option: str) -> pathlib.Path:
    text = str(group[option])
    if not _PATH.fullmatch(text):
        raise _invalid(
            option, f'{text!r} is no absolute path of letters, digits, ._@+-'
        )
    return pathlib.Path(text)


def _program(group: cfg.ConfigOpts, option: str) -> pathlib.Path:
    path = _path(group, option)
    if not os.access(path, os.X_OK):
        raise _invalid(option, f'{path} cannot be run. Is it installed?')
    return path


def _invalid(option: str, problem: str) -> exception.NetbootSettingInvalid:
    return exception.NetbootSettingInvalid(option=option, problem=problem)
