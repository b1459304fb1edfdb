# SPDX-License-Identifier: Apache-2.0
"""VMs on a host of the cloud: libvirt, which meets no other of the machine.

Debian's libvirt has its places compiled in, for domains that outlive a boot as
well. Each process sees folders of the lab there. QEMU runs as a user without
an account, by which `down` finds what is left of a VM: libvirtd ends without
its domains, and the next one finds them again.
"""

import pathlib
from collections.abc import Iterable

from zsbm_ironic.lab import daemon, layout, network
from zsbm_ironic.lab.cloud import fabric, own_folders

ARCH = 'x86_64'
READY_S = 60
# Code of a guest that was translated, kept in memory: QEMU's own choice is
# twice what a whole VM has.
TRANSLATED_MIB = 128
_PLACES = {
    '/etc/libvirt': 'etc',
    '/run/libvirt': 'run',
    '/var/cache/libvirt': 'cache',
    '/var/lib/libvirt': 'lib',
    '/var/log/libvirt': 'log',
    '/etc/passwd': 'passwd',
    '/etc/group': 'group',
}
KVM = pathlib.Path('/dev/kvm')
# In its place where QEMU does not use it: libvirt, which tries it as root and
# finds that QEMU's user may not, forgets at each step what QEMU can do, and
# asks all of them again, for a minute.
_UNUSED = 'no-kvm'
# Debian's libvirt looks its user up by name before it reads any option.
_USER = 'libvirt-qemu'
# No access to a domain but by the socket, which is root's.
_LIBVIRTD = """\
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
log_outputs = "3:stderr"
"""
_VIRTLOGD = 'log_outputs = "3:stderr"\n'
# A container may have no cgroup, no AppArmor and no extended attribute to
# write to; a namespace of its own would hide the lab's folders from QEMU.
_QEMU = """\
cgroup_controllers = []
namespaces = []
remember_owner = 0
security_driver = "none"
"""


def uri(host: fabric.OpenVSwitch) -> str:
    """Return what `virsh --connect` and Nova reach the VMs of a host by."""
    return f'qemu+unix:///system?socket={_socket(host)}'


def nova_settings(
    host: fabric.OpenVSwitch, accelerator: str
) -> dict[str, str | list[str]]:
    """Return the options of [libvirt].

    :param accelerator: 'kvm' or 'tcg'.
    """
    if accelerator == 'kvm':
        how = {'cpu_mode': 'host-passthrough', 'virt_type': 'kvm'}
    else:
        how = {
            'cpu_mode': 'none',
            'tb_cache_size': str(TRANSLATED_MIB),
            'virt_type': 'qemu',
        }
    return {**how, 'connection_uri': uri(host)}


def prepare(
    host: fabric.OpenVSwitch, accelerator: str, groups: Iterable[int]
) -> None:
    """Write its files; idempotent.

    :param accelerator: 'kvm' or 'tcg'.
    :param groups: that may use it.
    """
    root = _root(host)
    for name in ('etc', 'run', 'cache', 'lib', 'log'):
        (root / name).mkdir(mode=0o755, parents=True, exist_ok=True)
    for name, text in {
        'etc/qemu.conf': _QEMU,
        'libvirtd.conf': _LIBVIRTD,
        'virtlogd.conf': _VIRTLOGD,
        'passwd': _users(),
        'group': _groups(groups),
    }.items():
        (root / name).write_text(text)
    unused = root / _UNUSED
    if accelerator == 'tcg' and KVM.exists():
        unused.touch(mode=0o600)
    else:
        unused.unlink(missing_ok=True)


def daemons(host: fabric.OpenVSwitch) -> list[daemon.Daemon]:
    """Return its processes; `prepare` comes first."""
    root = _root(host)
    return [
        _process(host, 'virtlogd', root / 'run' / 'virtlogd-sock'),
        _process(host, 'libvirtd', _socket(host)),
    ]


def _process(
    host: fabric.OpenVSwitch, program: str, socket: pathlib.Path
) -> daemon.Daemon:
    root = _root(host)
    own = {place: root / name for place, name in _PLACES.items()}
    if (root / _UNUSED).exists():
        own[str(KVM)] = root / _UNUSED
    words = [
        *(f'/usr/sbin/{program}', '--config', f'{root}/{program}.conf'),
        *('--pid-file', f'{root}/{program}.pid'),
    ]
    return daemon.Daemon(
        program,
        # Nova knows the host by this name, and takes no other for it later.
        own_folders.argv(words, own=own, hostname=host.name),
        env=host.environment,
        ready=lambda: network.accepts(socket),
        ready_s=READY_S,
        namespace=host.namespace,
    )


def _users() -> str:
    return (
        'root:x:0:0::/root:/bin/sh\n'
        f'{_USER}:x:{layout.VM_UID}:{layout.SHARED_GID}'
        '::/nonexistent:/usr/sbin/nologin\n'
    )


def _groups(more: Iterable[int]) -> str:
    lines = ['root:x:0:', f'{_USER}:x:{layout.SHARED_GID}:']
    lines += [f'vm{gid}:x:{gid}:{_USER}' for gid in more]
    return '\n'.join(lines) + '\n'


def _root(host: fabric.OpenVSwitch) -> pathlib.Path:
    return host.root / 'libvirt'


def _socket(host: fabric.OpenVSwitch) -> pathlib.Path:
    return _root(host) / 'run' / 'libvirt-sock'
