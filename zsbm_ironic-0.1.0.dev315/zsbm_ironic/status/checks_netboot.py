# SPDX-License-Identifier: Apache-2.0
"""Checks of the boot service: settings, programs, folders, the process.

They read files and processes of this host, and open TCP connections to its
own addresses; no packet leaves it.
"""

import contextlib
import os
import pathlib
import re
import socket
import stat
import time
import urllib.parse
from collections.abc import Iterator

from oslo_config import cfg

from zsbm_ironic.common import exception, process
from zsbm_ironic.netboot import settings as netboot_settings
from zsbm_ironic.netboot import status as netboot_status
from zsbm_ironic.status.findings import Finding, fail, ok, warn

CONNECT_TIMEOUT_S = 3
START = 'systemctl enable --now zsbm-netboot, then look at its log.'

FOLDER_REMEDY = {
    'root': 'install -d -o USER-OF-CONDUCTOR -g zsbm-netboot -m 2750',
    'desired_dir': 'install -d -o USER-OF-CONDUCTOR -g zsbm-netboot -m 2750',
    'status_dir': 'The shipped unit makes it: install and start it.',
}

# Bits of linux/capability.h that the shipped unit gives to the service.
CAPABILITIES = {
    10: 'CAP_NET_BIND_SERVICE',
    12: 'CAP_NET_ADMIN',
    13: 'CAP_NET_RAW',
}
OLDEST = {'dnsmasq': (2, 90), 'nginx': (1, 22)}
VERSION_FLAG = {'dnsmasq': '--version', 'nginx': '-v'}


def settings(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """The service would start with these settings."""
    try:
        found = netboot_settings.from_conf(conf)
    except exception.NetbootSettingInvalid as exc:
        yield fail('[zsbm_netboot]', str(exc), 'Correct it.')
        return
    yield ok(
        '[zsbm_netboot]',
        f'{found.interface} {found.listen_address}, '
        + ', '.join(str(subnet.cidr) for subnet in found.subnets),
    )
    try:
        address = netboot_settings.interface_address(found.interface)
    except OSError as exc:
        yield fail(
            '[zsbm_netboot]interface',
            f'{found.interface}: {exc.strerror}',
            'Bring it up and give it an address.',
        )
        return
    if not any(address in subnet.cidr for subnet in found.subnets):
        yield warn(
            '[zsbm_netboot]subnets',
            f'{address} of {found.interface} is in none of them',
            'Right only where every machine is behind a DHCP relay.',
        )


def agreement(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Conductor and service speak of the same folders and port."""
    for name, ours, theirs in (
        ('tftp_root', conf.zsbm_netboot.tftp_root, conf.pxe.tftp_root),
        ('http_root', conf.zsbm_netboot.http_root, conf.deploy.http_root),
    ):
        label = f'[zsbm_netboot]{name}'
        if pathlib.Path(ours) == pathlib.Path(theirs):
            yield ok(label, ours)
        else:
            yield fail(
                label,
                f'{ours}, but the conductor writes to {theirs}',
                'Set both to the same folder.',
            )
    if not conf.deploy.http_url:
        yield fail(
            '[deploy]http_url',
            'not set: nodes are given no address to load from',
            f'http://ADDRESS:{conf.zsbm_netboot.http_port}',
        )
        return
    url = urllib.parse.urlparse(conf.deploy.http_url)
    port = url.port or (443 if url.scheme == 'https' else 80)
    if port == conf.zsbm_netboot.http_port:
        yield ok('[deploy]http_url', conf.deploy.http_url)
    else:
        yield warn(
            '[deploy]http_url',
            f'port {port}, but zsbm-netboot serves port '
            f'{conf.zsbm_netboot.http_port}',
            'Right only where another web server serves the folder there.',
        )


def programs(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """The servers that the service starts are there and new enough."""
    for name, oldest in OLDEST.items():
        path = getattr(conf.zsbm_netboot, name)
        package = {'dnsmasq': 'dnsmasq-base', 'nginx': 'nginx-light'}[name]
        try:
            done = process.run([path, VERSION_FLAG[name]], timeout_s=10)
        except exception.ZsbmError as exc:
            yield fail(name, str(exc), f'apt-get install {package}')
            continue
        found = re.search(r'(\d+)\.(\d+)', done.stdout + done.stderr)
        version = tuple(map(int, found.groups())) if found else (0, 0)
        text = '.'.join(map(str, version))
        if version < oldest:
            yield fail(
                name,
                f'{path} is {text}',
                f'It must be {".".join(map(str, oldest))} or newer.',
            )
        else:
            yield ok(name, f'{path} {text}')


def loaders(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """The iPXE loader of each architecture that is offered is there."""
    for name, path in sorted(conf.zsbm_netboot.loaders.items()):
        if os.access(path, os.R_OK):
            yield ok(f'loader {name}', path)
        else:
            yield fail(
                f'loader {name}',
                f'{path} is missing',
                'apt-get install ipxe, or take it out of '
                '[zsbm_netboot]loaders.',
            )


def roots(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """What the conductor writes, the service can read."""
    for name, path in (
        ('[pxe]tftp_root', conf.pxe.tftp_root),
        ('[deploy]http_root', conf.deploy.http_root),
    ):
        try:
            info = os.stat(path)
        except OSError as exc:
            yield fail(name, f'{path}: {exc.strerror}', FOLDER_REMEDY['root'])
            continue
        group = _group_of_service(conf)
        readable = info.st_mode & stat.S_IXOTH or (
            info.st_mode & stat.S_IXGRP and info.st_gid == group
        )
        if group is None or readable:
            yield ok(name, path)
        else:
            yield fail(
                name,
                f'{path}: the group of zsbm-netboot ({group}) cannot read it',
                FOLDER_REMEDY['root'],
            )


def _group_of_service(conf: cfg.ConfigOpts) -> int | None:
    try:
        return os.stat(conf.zsbm_netboot.status_dir).st_gid
    except OSError:
        return None


def folders(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Two folders, one writer each; nobody else reads them."""
    owners = {}
    for option in ('desired_dir', 'status_dir'):
        path = getattr(conf.zsbm_netboot, option)
        name = f'[zsbm_netboot]{option}'
        try:
            info = os.stat(path)
        except OSError as exc:
            yield fail(
                name,
                f'{path}: {exc.strerror}',
                FOLDER_REMEDY[option],
            )
            continue
        owners[option] = info.st_uid
        mode = stat.S_IMODE(info.st_mode)
        if mode & (stat.S_IWOTH | stat.S_IROTH | stat.S_IWGRP):
            yield fail(
                name,
                f'{path} has mode {mode:04o}',
                'Let its owner write and its group read: chmod 2750.',
            )
        else:
            yield ok(name, f'{path} mode {mode:04o} owner {info.st_uid}')
    if len(owners) == 2 and len(set(owners.values())) == 1:
        yield warn(
            '[zsbm_netboot]desired_dir',
            'has the same owner as status_dir: conductor and service can '
            "write each other's folder",
            'Run zsbm-netboot as a user of its own, as the unit does.',
        )


def ports(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Nobody else has the ports, where the service does not run itself."""
    status = netboot_status.Status(conf.zsbm_netboot.status_dir)
    heartbeat = status.heartbeat()
    limit_s = conf.zsbm_netboot.service_timeout_s
    if heartbeat and time.time() - heartbeat.time <= limit_s:
        return
    for kind, number in (
        ('udp', 67),
        ('udp', 69),
        ('tcp', conf.zsbm_netboot.http_port),
    ):
        done = process.run(
            [
                *('ss', '--no-header', '--listening', '--numeric'),
                *('--processes', f'--{kind}', f'sport = :{number}'),
            ],
            timeout_s=10,
        )
        if done.stdout.strip():
            who = re.search(r'users:\(\("([^"]+)"', done.stdout)
            yield fail(
                f'{kind} port {number}',
                f'taken by {who[1] if who else "another program"}',
                'Stop that program, or keep it off this address: '
                'zsbm-netboot needs the port.',
            )


def service(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """The service runs, as an ordinary user with three capabilities."""
    status = netboot_status.Status(conf.zsbm_netboot.status_dir)
    heartbeat = status.heartbeat()
    if heartbeat is None:
        yield fail('zsbm-netboot', 'no heartbeat to be read', START)
        return
    age_s = time.time() - heartbeat.time
    if age_s > conf.zsbm_netboot.service_timeout_s:
        yield fail('zsbm-netboot', f'last heartbeat {age_s:.0f} s ago', START)
        return
    yield ok(
        'zsbm-netboot',
        f'pid {heartbeat.pid}, {heartbeat.records} machines served',
    )
    for mac, reason in sorted(heartbeat.rejected.items()):
        yield warn(f'machine {mac}', f'not served: {reason}', 'Correct it.')
    for problem in heartbeat.problems:
        yield warn('zsbm-netboot', problem, 'See its log.')
    for server in heartbeat.foreign_servers:
        yield fail(
            'DHCP',
            f'another server answers: {server}',
            'Switch it off, or list it in [zsbm_netboot]known_dhcp_servers.',
        )
    yield from _privileges(heartbeat.pid)


def _privileges(pid: int) -> Iterator[Finding]:
    try:
        text = pathlib.Path(f'/proc/{pid}/status').read_text()
    except OSError:
        yield warn(
            'zsbm-netboot',
            f'pid {pid} is not visible from here',
            'Run this on the host of the service.',
        )
        return
    fields = dict(
        line.split(':\t', 1) for line in text.splitlines() if ':\t' in line
    )
    uid = int(fields['Uid'].split()[1])
    bits = int(fields['CapEff'], 16)
    excess = bits & ~sum(1 << bit for bit in CAPABILITIES)
    lacking = [
        name for bit, name in CAPABILITIES.items() if not bits & (1 << bit)
    ]
    if uid == 0 or excess:
        yield warn(
            'zsbm-netboot privileges',
            f'uid {uid}, capabilities {bits:#x}: more than it needs',
            'Start it by the shipped unit.',
        )
    elif lacking:
        yield fail(
            'zsbm-netboot privileges',
            f'uid {uid} without {", ".join(lacking)}',
            'Start it by the shipped unit.',
        )
    else:
        yield ok(
            'zsbm-netboot privileges',
            f'uid {uid}, {", ".join(CAPABILITIES.values())} and no more',
        )


def http(conf: cfg.ConfigOpts) -> Iterator[Finding]:
    """Something listens where nodes are told to load from."""
    url = urllib.parse.urlparse(conf.deploy.http_url or '')
    if not url.hostname:
        return
    port = url.port or (443 if url.scheme == 'https' else 80)
    name = f'{url.hostname} port {port}'
    try:
        with contextlib.closing(
            socket.create_connection((url.hostname, port), CONNECT_TIMEOUT_S)
        ):
            yield ok(name, 'answers')
    except OSError as exc:
        yield fail(name, f'{exc}', START)


CHECKS = (
    settings,
    agreement,
    programs,
    loaders,
    roots,
    folders,
    ports,
    service,
    http,
)
