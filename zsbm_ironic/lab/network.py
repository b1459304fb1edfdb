# SPDX-License-Identifier: Apache-2.0
"""The wires of a lab: one network namespace with a bridge, taps and BMCs.

Called by `up`, `down` and the faults. Nothing of it is outside the namespace,
so deleting the namespace takes every interface along. TAP devices belong to
the user that runs QEMU, which therefore needs no privilege.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import socket
import threading
from collections.abc import Callable, Container
from typing import TypeVar

from zsbm_ironic.common import process
from zsbm_ironic.lab import layout

TIMEOUT_S = 20
CLONE_NEWNET = 0x40000000  # linux/sched.h
_LOSSES = 'losses'

NAMESPACES = pathlib.Path('/run/netns')
TUN = pathlib.Path('/dev/net/tun')

T = TypeVar('T')


def nsenter(namespace: str = layout.NAMESPACE) -> list[str]:
    """Return the words that put a command into a namespace of the lab.

    :param namespace: empty: where the caller is, which needs no words.
    """
    return ['nsenter', f'--net=/run/netns/{namespace}'] if namespace else []


def exists(namespace: str = layout.NAMESPACE) -> bool:
    """Say whether a namespace of the lab is there.

    It is mounted on its name; a bare name is what an interrupted `ip netns
    add` leaves.
    """
    return os.path.ismount(NAMESPACES / namespace)


def _add_namespace(name: str) -> None:
    if not exists(name):
        (NAMESPACES / name).unlink(missing_ok=True)
        process.run(['ip', 'netns', 'add', name], timeout_s=TIMEOUT_S)


def create(owner: pathlib.Path) -> None:
    """Make the namespace with its bridge and loopback; idempotent.

    :param owner: state folder of the lab, kept as the alias of the bridge.
    """
    _add_namespace(layout.NAMESPACE)
    ip('link', 'set', 'lo', 'up')
    add_link(layout.BRIDGE, 'type', 'bridge', 'stp_state', '0')
    ip('link', 'set', layout.BRIDGE, 'alias', str(owner))
    # A bridge without ports: not every kernel has the dummy driver.
    add_link('bmc0', 'type', 'bridge')
    _add_address(f'{layout.CONDUCTOR_ADDRESSES[0]}/24', layout.BRIDGE)
    # Router advertisements come from the service; the bridge needs an
    # address of its own prefix for them.
    _add_address('fd00:5a5b::1/64', layout.BRIDGE)


def owner() -> pathlib.Path | None:
    """Return the state folder of the lab whose network this is."""
    if not exists() or layout.BRIDGE not in links():
        return None
    (link,) = json.loads(ip('-j', 'link', 'show', layout.BRIDGE))
    return pathlib.Path(link['ifalias']) if 'ifalias' in link else None


def add_bmc(address: str) -> None:
    """Give the namespace the address of a BMC; idempotent."""
    _add_address(f'{address}/32', 'bmc0')


def add_tap(
    name: str,
    uid: int,
    bridge: str = layout.BRIDGE,
    namespace: str = layout.NAMESPACE,
) -> None:
    """Make a TAP device that user `uid` may open; idempotent.

    :param bridge: that it is plugged into; empty: none.
    :param namespace: where it is made; empty: where the caller is.

    The kernel lets a user attach to the devices that are his, provided that
    he may open /dev/net/tun, which udev gives to everybody; where no udev
    runs, we do.
    """
    TUN.chmod(0o666)
    if name not in links(namespace):
        owner = ('mode', 'tap', 'user', str(uid))
        ip('tuntap', 'add', 'dev', name, *owner, namespace=namespace)
    if bridge:
        ip('link', 'set', name, 'master', bridge, namespace=namespace)
    ip('link', 'set', name, 'up', namespace=namespace)


def create_branch(
    namespace: str,
    address: str,
    *,
    bridge: str = layout.BRIDGE,
    inner: str = 'eth0',
) -> None:
    """Make a namespace with a leg on a bridge; idempotent.

    :param address: the leg's address with its prefix length.
    :param inner: name of the leg inside the namespace.
    """
    outer = f'{inner}{namespace.removeprefix(layout.NAMESPACE)}'
    _add_namespace(namespace)
    if outer not in links():
        peer = ('peer', 'name', inner, 'netns', namespace)
        ip('link', 'add', outer, 'type', 'veth', *peer)
    ip('link', 'set', outer, 'master', bridge, 'up')
    for words in (
        ('link', 'set', 'lo', 'up'),
        ('link', 'set', inner, 'up'),
        ('address', 'replace', address, 'dev', inner),
    ):
        ip(*words, namespace=namespace)


def create_namespace(namespace: str) -> None:
    """Make a namespace with nothing but its loopback; idempotent."""
    _add_namespace(namespace)
    ip('link', 'set', 'lo', 'up', namespace=namespace)


def set_address(link: str, address: str, *, namespace: str) -> None:
    """Give an interface an address with its prefix length; idempotent."""
    ip('address', 'replace', address, 'dev', link, namespace=namespace)


def add_pair(
    one: str,
    other: str,
    bridge: str = '',
    namespace: str = '',
    home: str = layout.NAMESPACE,
) -> None:
    """Make two interfaces that are the ends of one cable; idempotent.

    :param bridge: that `one` is plugged into; empty: none.
    :param namespace: where `other` is; empty: where `one` is.
    :param home: namespace where `one` is.
    """
    away = namespace or home
    if one not in links(home):
        there = ('netns', namespace) if namespace else ()
        peer = ('peer', 'name', other, *there)
        ip('link', 'add', one, 'type', 'veth', *peer, namespace=home)
    ip('link', 'set', one, 'up', namespace=home)
    ip('link', 'set', other, 'up', namespace=away)
    if bridge:
        ip('link', 'set', one, 'master', bridge, namespace=home)
    # A switch in user space takes frames as they are: whole, with a checksum.
    for name, where in ((one, home), (other, away)):
        process.run(
            [*nsenter(where), 'ethtool', '-K', name]
            + ['tx', 'off', 'gso', 'off', 'tso', 'off', 'gro', 'off'],
            timeout_s=TIMEOUT_S,
        )


def delete_branch(namespace: str) -> None:
    """Delete such a namespace, its leg with it; idempotent."""
    if exists(namespace):
        process.run(['ip', 'netns', 'delete', namespace], timeout_s=TIMEOUT_S)


def add_bridge(name: str, address: str = '') -> None:
    """Make a further bridge; idempotent.

    :param address: with its prefix length; empty: none.
    """
    add_link(name, 'type', 'bridge', 'stp_state', '0')
    if address:
        _add_address(address, name)


def route(target: str, via: str, *, namespace: str = layout.NAMESPACE) -> None:
    """Reach network `target` by way of address `via`; idempotent."""
    ip('route', 'replace', target, 'via', via, namespace=namespace)


def lose_packets(address: str, percent: int) -> None:
    """Lose this share of the packets to an address of the namespace.

    A conductor on the same host speaks to it from the very address, so the
    answers are lost alike. `lose_none` ends it.
    """
    for words in (
        f'add table inet {_LOSSES}',
        f'add chain inet {_LOSSES} input {{ type filter hook input priority '
        '0; }',
        f'add rule inet {_LOSSES} input ip daddr {address} '
        f'numgen random mod 100 < {percent} drop',
    ):
        process.run([*nsenter(), 'nft', words], timeout_s=TIMEOUT_S)


def lose_none() -> None:
    """Lose no packet any more; idempotent."""
    process.run(
        [*nsenter(), 'nft', f'add table inet {_LOSSES}'], timeout_s=TIMEOUT_S
    )
    process.run(
        [*nsenter(), 'nft', f'delete table inet {_LOSSES}'],
        timeout_s=TIMEOUT_S,
    )


def forward(namespace: str) -> None:
    """Let a namespace be a router."""
    process.run(
        [*nsenter(namespace), 'sysctl', '-qw', 'net.ipv4.ip_forward=1'],
        timeout_s=TIMEOUT_S,
    )


def listens(
    address: str, port: int, namespace: str = layout.NAMESPACE
) -> bool:
    """Say whether something accepts connections at a place of the lab."""

    def try_it() -> bool:
        with socket.socket() as probe:
            probe.settimeout(5)
            return probe.connect_ex((address, port)) == 0

    return call(try_it, namespace)


def accepts(path: pathlib.Path) -> bool:
    """Say whether something accepts connections at a socket file."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def call(function: Callable[[], T], namespace: str = layout.NAMESPACE) -> T:
    """Call `function` in a thread of its own that is in the namespace."""
    outcome: list[T] = []
    failure: list[BaseException] = []

    def enter() -> None:
        try:
            _join(namespace)
            outcome.append(function())
        except BaseException as exc:
            failure.append(exc)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def _join(namespace: str) -> None:
    """Move the calling thread; os.setns needs Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f'/run/netns/{namespace}') as handle:
        if libc.setns(handle.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)


def processes(uids: Container[int]) -> list[int]:
    """Return the pids in the lab's namespaces that belong to these users."""
    found = []
    for path in NAMESPACES.glob(f'{layout.NAMESPACE}*'):
        listed = process.run(
            ['ip', 'netns', 'pids', path.name], timeout_s=TIMEOUT_S
        )
        for pid in listed.stdout.split():
            with contextlib.suppress(FileNotFoundError):
                if pathlib.Path('/proc', pid).stat().st_uid in uids:
                    found.append(int(pid))
    return found


def delete() -> None:
    """Delete the namespaces and all interfaces in them; idempotent."""
    for path in NAMESPACES.glob(f'{layout.NAMESPACE}*'):
        process.run(['ip', 'netns', 'delete', path.name], timeout_s=TIMEOUT_S)


def ip(*words: str, namespace: str = layout.NAMESPACE) -> str:
    """Run `ip` in a namespace; returns what it prints."""
    return process.run(
        [*nsenter(namespace), 'ip', *words], timeout_s=TIMEOUT_S
    ).stdout


def links(namespace: str = layout.NAMESPACE) -> set[str]:
    """Return the names of the interfaces in a namespace."""
    lines = ip('-o', 'link', 'show', namespace=namespace).splitlines()
    return {line.split(': ')[1].split('@')[0] for line in lines}


def add_link(name: str, *kind: str, namespace: str = layout.NAMESPACE) -> None:
    """Make an interface and bring it up; idempotent.

    :param kind: what `ip link add` takes after its name.
    """
    if name not in links(namespace):
        ip('link', 'add', name, *kind, namespace=namespace)
    ip('link', 'set', name, 'up', namespace=namespace)


def _add_address(address: str, link: str) -> None:
    nodad = ('nodad',) if ':' in address else ()
    ip('address', 'replace', address, 'dev', link, *nodad)
