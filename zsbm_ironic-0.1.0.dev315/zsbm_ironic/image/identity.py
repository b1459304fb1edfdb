# SPDX-License-Identifier: Apache-2.0
"""Gives an OS that was captured from a server or a VM an identity of its own.

Two servers of one image must not share what others tell them apart by. New
values take the place of old ones, so no service has to make any at the first
start, and an image that never ran has nothing to be replaced.
"""

import dataclasses
import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from zsbm_ironic.image import editing, system, tree

_RSA_BITS = 3072
_HOST_KEY = re.compile(r'ssh_host_(\w+?)_key(\.pub|-cert\.pub)?')
_LABEL = re.compile(r'[^a-z0-9-]+')
_LABEL_CHARS = 63
_MACHINE_IDS = ('/etc/machine-id', '/var/lib/dbus/machine-id')
_CLOUD = '/var/lib/cloud'
_IGNITION = '/usr/lib/dracut/modules.d/30ignition'
_IGNITION_FIRST = '/boot/ignition.firstboot'
_NO_INSTANCE = 'none'
_LOOPBACK = ('127.', '::1')
_LEASES = (
    ('/var/lib/dhcp', '.leases'),
    ('/var/lib/dhclient', '.leases'),
    ('/var/lib/dhcpcd', '.lease'),
    ('/var/lib/NetworkManager', '.lease'),
)
_SEEDS = ('/var/lib/systemd/random-seed', '/var/lib/urandom/random-seed')
_INITIATOR = '/etc/iscsi/initiatorname.iscsi'
_NVME_NAME, _NVME_ID = '/etc/nvme/hostnqn', '/etc/nvme/hostid'


@dataclasses.dataclass(frozen=True)
class _Part:
    """One thing that tells servers apart.

    :ivar content: of its files by path, new where they have an old one.
    """

    what: str
    content: Callable[[tree.Tree, str], Mapping[str, bytes]]


def label(name: str) -> str:
    """Return a name as the host part of a domain name (RFC 1123), or ''."""
    plain = _LABEL.sub('-', name.lower().partition('.')[0])
    return plain[:_LABEL_CHARS].strip('-')


def renew(found: system.System, image: editing.Editing, hostname: str) -> None:
    """Replace what an OS must not share with another.

    :param hostname: of the server, '' to keep that of the image. One of
        cloud-init is left to it.
    :raises NoRoom: a file system is full.
    """
    for part in _PARTS:
        content = part.content(found.files, hostname)
        for path, data in content.items():
            image.write_bytes(path, data)
        if content:
            image.note(
                'identity',
                f'{part.what} new: {", ".join(content)}',
                'no other server of this image is to have the same',
            )


def is_in(found: system.System) -> bool:
    """Return whether `renew` would replace something, whatever the name."""
    # No host has this name.
    return any(part.content(found.files, '-') for part in _PARTS)


def _machine_id(files: tree.Tree, _: str) -> dict[str, bytes]:
    old = [tree.text(files, path).strip() for path in _MACHINE_IDS]
    new = f'{uuid.uuid4().hex}\n'.encode()
    # An empty one, and `uninitialized`, are filled by systemd itself.
    return {
        path: new
        for path, text in zip(_MACHINE_IDS, old, strict=True)
        if re.fullmatch('[0-9a-f]{32}', text)
    }


def _host_keys(files: tree.Tree, hostname: str) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name in files.names('/etc/ssh'):
        path = f'/etc/ssh/{name}'
        match = _HOST_KEY.fullmatch(name)
        if match and _length(files, path):
            kinds.setdefault(match[1], []).append((match[2] or '', path))
    for kind, paths in kinds.items():
        make = _KEYS.get(kind)
        key = make() if make else None
        for suffix, path in paths:
            # A certificate is for the old key; DSA is of no use any more.
            content[path] = b''
            if key and suffix == '':
                content[path] = key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.OpenSSH,
                    serialization.NoEncryption(),
                )
            elif key and suffix == '.pub':
                public = key.public_key().public_bytes(
                    serialization.Encoding.OpenSSH,
                    serialization.PublicFormat.OpenSSH,
                )
                comment = f' root@{hostname or "localhost"}\n'
                content[path] = public + comment.encode()
    return content


def _hostname(files: tree.Tree, hostname: str) -> dict[str, bytes]:
    old = tree.text(files, '/etc/hostname').strip()
    if (
        not hostname
        or not old
        or old == hostname
        or tree.exists(files, '/etc/cloud/cloud.cfg')
    ):
        return {}
    content = {'/etc/hostname': f'{hostname}\n'.encode()}
    hosts = tree.text(files, '/etc/hosts')
    word = re.compile(rf'(?<=\s){re.escape(old)}(?=[.\s]|$)')
    renamed = ''.join(
        word.sub(hostname, line) if line.startswith(_LOOPBACK) else line
        for line in hosts.splitlines(keepends=True)
    )
    if renamed != hosts:
        content['/etc/hosts'] = renamed.encode()
    return content


def _leases(files: tree.Tree, _: str) -> dict[str, bytes]:
    return {
        f'{folder}/{name}': b''
        for folder, suffix in _LEASES
        for name in files.names(folder)
        if name.endswith(suffix) and _length(files, f'{folder}/{name}')
    }


def _cloud_init(files: tree.Tree, _: str) -> dict[str, bytes]:
    """Make cloud-init forget whom it ran for, and what it was told there.

    Without its cache it looks for its data anew; passwords may be in theirs.
    """
    content = {}
    for instance in files.names(f'{_CLOUD}/instances'):
        folder = f'{_CLOUD}/instances/{instance}'
        for path in _files_in(files, folder):
            content[path] = b''
    for name in ('instance-id', 'previous-instance-id'):
        path = f'{_CLOUD}/data/{name}'
        if tree.text(files, path).strip() not in ('', _NO_INSTANCE):
            content[path] = f'{_NO_INSTANCE}\n'.encode()
    return content


def _files_in(files: tree.Tree, folder: str) -> Iterator[str]:
    for name in files.names(folder):
        if _length(files, f'{folder}/{name}'):
            yield f'{folder}/{name}'


def _ignition(files: tree.Tree, _: str) -> dict[str, bytes]:
    """Make Ignition run at the next start, as it did at the first.

    GRUB looks for this file, and Ignition takes it away when it is done.
    """
    is_there = tree.exists(files, _IGNITION)
    first = tree.exists(files, _IGNITION_FIRST)
    return {_IGNITION_FIRST: b''} if is_there and not first else {}


def _seeds(files: tree.Tree, _: str) -> dict[str, bytes]:
    return {
        path: secrets.token_bytes(512)
        for path in _SEEDS
        if _length(files, path)
    }


def _initiators(files: tree.Tree, _: str) -> dict[str, bytes]:
    content = {}
    text = tree.text(files, _INITIATOR)
    renamed = re.sub(
        r'^(InitiatorName=iqn\..+:)[^:\s]+$',
        lambda match: f'{match[1]}{secrets.token_hex(6)}',
        text,
        flags=re.M,
    )
    if renamed != text:
        content[_INITIATOR] = renamed.encode()
    if tree.text(files, _NVME_NAME).strip():
        own = str(uuid.uuid4())
        name = f'nqn.2014-08.org.nvmexpress:uuid:{own}\n'
        content[_NVME_NAME] = name.encode()
        if tree.text(files, _NVME_ID).strip():
            content[_NVME_ID] = f'{own}\n'.encode()
    return content


def _length(files: tree.Tree, path: str) -> int:
    """Return the bytes of a file, 0 where it is none."""
    found = files.entry(path)
    return found.size_bytes if found and found.kind is tree.Kind.FILE else 0


_KEYS: Mapping[str, Callable[[], PrivateKeyTypes]] = {
    'rsa': lambda: rsa.generate_private_key(65537, _RSA_BITS),
    'ecdsa': lambda: ec.generate_private_key(ec.SECP256R1()),
    'ed25519': ed25519.Ed25519PrivateKey.generate,
}
# Cheap ones first: `is_in` ends at the first that finds something.
_PARTS = (
    _Part('the machine ID is', _machine_id),
    _Part('the host name is', _hostname),
    _Part('leases of DHCP are', _leases),
    _Part('the state of cloud-init is', _cloud_init),
    _Part('the first start of Ignition is', _ignition),
    _Part('random seeds are', _seeds),
    _Part('names of storage initiators are', _initiators),
    _Part('keys of the SSH server are', _host_keys),
)
