# SPDX-License-Identifier: Apache-2.0
"""Desired state: what the conductor wants to be served, one file a MAC.

Written by the conductor alone (provider `zsbm`), read by `zsbm-netboot`. A
record outlives both: it is what makes the address of a MAC stable. It is
replaced by rename, so that a reader never sees half of one, and both sides
check it against the schema: values that owners of nodes can set (a client-id
in port.extra) must not become options of dnsmasq.
"""

import dataclasses
import json
import os
import pathlib
import re
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema

from zsbm_ironic.common import exception

VERSION = 1
MAX_BYTES = 16384

# Options that ironic passes for network boot (ironic.common.pxe_utils), and
# none other: bootfile 67, TFTP server 66 and 150, vendor class 60, client id
# 61, and 255, which is dnsmasq's own name for the header field siaddr.
OPTION_CODES = (60, 61, 66, 67, 150, 255)

# No comma, quote, space or control character: those end a value in dnsmasq.
VALUE = r'[A-Za-z0-9._:/\[\]@%~=?&+-]{1,255}'
MAC = r'[0-9a-f]{2}(:[0-9a-f]{2}){5}'

_FILE = re.compile(r'[0-9a-f]{2}(-[0-9a-f]{2}){5}\.json')


def _text(pattern: str) -> dict[str, Any]:
    # \Z, because $ also matches before a trailing newline.
    return {'type': 'string', 'pattern': rf'^{pattern}\Z'}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        'type': 'object',
        'properties': properties,
        'required': sorted(properties),
        'additionalProperties': False,
    }


# What the owner of a node can have set, and where.
_HINTS = {
    'client_id': ". Correct client-id in the port's extra field: pairs of "
    'hexadecimal digits with colons between them.',
}

_UUID = r'[0-9a-fA-F-]{36}'
_OPTION = _object(
    {
        'code': {'enum': list(OPTION_CODES)},
        'when': {'enum': ['always', 'ipxe', 'not-ipxe']},
        'value': _text(VALUE),
    }
)
SCHEMA = _object(
    {
        'version': {'const': VERSION},
        'mac': _text(MAC),
        'node': _text(_UUID),
        'port': _text(_UUID),
        'vif': {'anyOf': [{'type': 'null'}, _text(_UUID)]},
        'addresses': {
            'type': 'array',
            'items': {'type': 'string', 'format': 'ipv4'},
            'maxItems': 16,
            'uniqueItems': True,
        },
        'client_id': {
            'anyOf': [
                {'type': 'null'},
                _text(r'[0-9a-f]{2}(:[0-9a-f]{2}){0,63}'),
            ]
        },
        'served_by': {'enum': ['zsbm', 'neutron']},
        'script': {'anyOf': [{'type': 'null'}, _text(rf'https?://{VALUE}')]},
        'options': {'type': 'array', 'items': _OPTION, 'maxItems': 16},
        'updated': {'type': 'number', 'minimum': 0},
    }
)
_VALIDATOR = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)


@dataclasses.dataclass(frozen=True)
class Option:
    """One DHCP option as ironic passes it.

    :ivar when: 'always', 'ipxe' (the client is iPXE already), 'not-ipxe'.
    """

    code: int
    value: str
    when: str = 'always'


@dataclasses.dataclass(frozen=True)
class Record:
    """What one MAC is served.

    :ivar vif: Neutron port whose fixed address this is, if any.
    :ivar addresses: at most one of each subnet.
    :ivar client_id: DHCP client identifier of an InfiniBand port.
    :ivar served_by: 'neutron' where Neutron's own DHCP answers this MAC, so
        that the service must not.
    :ivar script: iPXE script; the loader before it is chosen by
        architecture. None: see options.
    :ivar options: boot options that ironic chose, for stock boot interfaces.
        With neither, the MAC gets an address and nothing to boot.
    :ivar updated: seconds since the epoch, when the conductor wrote it.
    """

    mac: str
    node: str
    port: str
    addresses: tuple[str, ...] = ()
    vif: str | None = None
    client_id: str | None = None
    served_by: str = 'zsbm'
    script: str | None = None
    options: tuple[Option, ...] = ()
    updated: float = 0.0

    @property
    def boots(self) -> bool:
        """Whether the machine is given anything to boot."""
        return self.script is not None or bool(self.options)

    def without_boot(self) -> 'Record':
        """The same, with the address alone."""
        return dataclasses.replace(self, script=None, options=())

    def same_as(self, other: 'Record | None') -> bool:
        """Whether both say the same, whenever they were written."""
        return other is not None and self == dataclasses.replace(
            other, updated=self.updated
        )

    def to_json(self) -> str:
        """Return the text of the record's file.

        :raises DesiredRecordInvalid: a value that the schema forbids.
        """
        data = {'version': VERSION, **dataclasses.asdict(self)}
        text = json.dumps(data, sort_keys=True)
        _check(json.loads(text), self.mac)
        return text


def parse(text: str | bytes, mac: str) -> Record:
    """Read a record.

    :param mac: the MAC that the file is named after.
    :raises DesiredRecordInvalid: not JSON, not as the schema says, or the
        record of another MAC.
    """
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise exception.DesiredRecordInvalid(mac=mac, problem=exc) from exc
    _check(data, mac)
    if data['mac'] != mac:
        raise exception.DesiredRecordInvalid(
            mac=mac, problem=f'the file is about {data["mac"]}.'
        )
    del data['version']
    data['addresses'] = tuple(data['addresses'])
    data['options'] = tuple(Option(**item) for item in data['options'])
    return Record(**data)


def _check(data: Any, mac: str) -> None:
    error = jsonschema.exceptions.best_match(_VALIDATOR.iter_errors(data))
    if error is not None:
        path = [str(step) for step in error.absolute_path]
        where = '.'.join(path) or 'record'
        hint = _HINTS.get(where, '')
        raise exception.DesiredRecordInvalid(
            mac=mac, problem=f'{where}: {error.message[:200]}{hint}'
        )


def settled(records: Mapping[str, Record]) -> dict[str, Record]:
    """Leave each address to the record that was written last.

    The record of a deleted port stays for a while, its address may be given
    to another port at once. Addresses that Neutron serves are of networks of
    their own and left alone.

    :param records: by MAC.
    """
    owners: dict[str, str] = {}
    for record in sorted(records.values(), key=lambda one: one.updated):
        if record.served_by == 'zsbm':
            owners |= dict.fromkeys(record.addresses, record.mac)
    return {
        mac: dataclasses.replace(
            record,
            addresses=tuple(
                address
                for address in record.addresses
                if record.served_by != 'zsbm' or owners[address] == mac
            ),
        )
        for mac, record in records.items()
    }


class DesiredState:
    """The directory of records.

    :param directory: owned by the conductor's user, with the set-group-id
        bit and the group of the service, so that files are readable to it.
    """

    def __init__(self, directory: pathlib.Path | str) -> None:
        self.directory = pathlib.Path(directory)
        self._cache: dict[str, tuple[tuple[int, ...], Record | str]] = {}

    def path(self, mac: str) -> pathlib.Path:
        """Return the file of a MAC, whether or not it exists."""
        return self.directory / (mac.replace(':', '-') + '.json')

    def write(self, record: Record) -> Record:
        """Put a record in place of what was there, stamped with the time.

        :raises DesiredRecordInvalid: a value that the schema forbids.
        :raises OSError: the directory is not there or not writable.
        """
        stamped = dataclasses.replace(record, updated=time.time())
        text = stamped.to_json()
        target = self.path(record.mac)
        draft = target.with_name(f'.{target.name}')
        draft.unlink(missing_ok=True)
        handle = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640
        )
        with os.fdopen(handle, 'w') as stream:
            os.fchmod(stream.fileno(), 0o640)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(target)
        return stamped

    def remove(self, mac: str) -> None:
        """Take a record away; none there is fine."""
        self.path(mac).unlink(missing_ok=True)

    def read(self, mac: str) -> Record | None:
        """Return the record of a MAC, None if there is none.

        :raises DesiredRecordInvalid: the file is not a record.
        """
        try:
            return parse(self._content(self.path(mac), mac), mac)
        except FileNotFoundError:
            return None

    def macs(self) -> Iterator[str]:
        """Yield the MAC of each record, in order."""
        for name in sorted(os.listdir(self.directory)):
            if _FILE.fullmatch(name):
                yield name.removesuffix('.json').replace('-', ':')

    def load(self) -> tuple[dict[str, Record], dict[str, str]]:
        """Read all records; those that did not change from memory.

        :returns: records by MAC, and why others were rejected, by MAC.
        """
        cache: dict[str, tuple[tuple[int, ...], Record | str]] = {}
        for mac in self.macs():
            try:
                facts = os.lstat(self.path(mac))
            except FileNotFoundError:
                continue
            mark = (facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns)
            known = self._cache.get(mac)
            if known is not None and known[0] == mark:
                cache[mac] = known
                continue
            try:
                record = self.read(mac)
            except exception.DesiredRecordInvalid as exc:
                cache[mac] = (mark, str(exc))
            else:
                if record is not None:
                    cache[mac] = (mark, record)
        self._cache = cache
        records, rejected = {}, {}
        for mac, (_mark, found) in cache.items():
            if isinstance(found, Record):
                records[mac] = found
            else:
                rejected[mac] = found
        return records, rejected

    def beat(self) -> None:
        """Say that the conductor lives, as it does at each reconciliation.

        :raises OSError: the directory is not there or not writable.
        """
        self._beat.touch(mode=0o640)

    def silence_s(self) -> float:
        """Return for how long the conductor has given no sign of life.

        0 where it never gave one: it is older than this service.
        """
        try:
            return max(0.0, time.time() - self._beat.lstat().st_mtime)
        except FileNotFoundError:
            return 0.0

    @property
    def _beat(self) -> pathlib.Path:
        return self.directory / '.conductor'

    def generation(self) -> int:
        """Return a number that changes with every write and removal.

        The directory's own time of change: a rename and a removal set it.
        """
        return os.stat(self.directory).st_mtime_ns

    def _content(self, path: pathlib.Path, mac: str) -> bytes:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            raise
        except OSError as exc:
            raise exception.DesiredRecordInvalid(
                mac=mac, problem=f'{exc.strerror}.'
            ) from exc
        try:
            facts = os.fstat(handle)
            owner = os.stat(self.directory).st_uid
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != owner:
                raise exception.DesiredRecordInvalid(
                    mac=mac,
                    problem='no regular file of the owner of the directory.',
                )
            return os.read(handle, MAX_BYTES)
        finally:
            os.close(handle)
