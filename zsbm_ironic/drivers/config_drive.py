# SPDX-License-Identifier: Apache-2.0
"""Completes a config drive before it is written: bonds, trunks, a watch.

Called by `deploy` as a deploy begins; what is missing of the network is told
by the network interface, how the system is watched by `os_metrics`. A drive is
an ISO image that Nova or a person made, so nothing in it is trusted: one that
cannot be read is written to the disk as it is, as upstream does.
"""

import base64
import binascii
import functools
import io
import json
import pathlib
import struct
import tempfile
import zlib
from collections.abc import Callable
from typing import Any

import pycdlib
from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import utils as conductor_lib
from ironic.conf import CONF
from oslo_concurrency import processutils
from oslo_log import log
from pycdlib import pycdlibexception

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.drivers import events, os_metrics
from zsbm_ironic.monitoring import install
from zsbm_ironic.network import checked

LOG = log.getLogger(__name__)

Completion = Callable[[dict[str, Any]], dict[str, Any]]
VERSIONS = '/openstack'
NETWORK_DATA = 'network_data.json'
VENDOR_DATA = 'vendor_data2.json'
# Of the image that is unpacked; the agent makes no larger partition for it.
LIMIT_BYTES = 64 << 20
_GZIP = 16 + zlib.MAX_WBITS
# What pycdlib and json raise for an image that is broken, or made to be.
_BROKEN = (
    pycdlibexception.PyCdlibException,
    LookupError,
    TypeError,
    ValueError,
    struct.error,
)


class _Unreadable(Exception):
    """A drive is left as it is; the text says why."""


_FAILED = (_Unreadable, OSError, processutils.ProcessExecutionError)


def complete(task: Any) -> None:
    """Add to the config drive of a node what it does not tell yet.

    Where the system is to be watched and there is no drive, one is made.

    :raises ZsbmError: Neutron cannot be asked.
    :raises InvalidParameterValue: see `os_metrics.validate`.
    """
    node = task.node
    before = node.driver_internal_info.get(os_metrics.RECORD)
    script = os_metrics.script(node)
    drive = node.instance_info.get('configdrive') or ({} if script else None)
    made = drive
    if drive is not None:
        made = _tried(task, drive, _network_of(task), script)
    if made != drive:
        node.set_instance_info('configdrive', made)
        events.note(node.uuid, 'conductor', 'config-drive-completed')
    if made != drive or before != node.driver_internal_info.get(
        os_metrics.RECORD
    ):
        node.save()


def withdraw(task: Any) -> None:
    """Take the token of a system out of the drive that Ironic keeps.

    Called when the drive is on the disk of the server.
    """
    node = task.node
    drive = node.instance_info.get('configdrive')
    if not drive or os_metrics.RECORD not in node.driver_internal_info:
        return
    try:
        made = _changed(task, drive, None, None)
    except _FAILED as exc:
        LOG.error(
            'The token of node %s stays in its instance_info, where admins '
            'alone can read it: %s',
            node.uuid,
            exc,
        )
        return
    if made != drive:
        node.set_instance_info('configdrive', made)
        node.save()


def _network_of(task: Any) -> Completion | None:
    """Return what completes network_data.json; None: nobody does."""
    interface = task.driver.network
    if not isinstance(interface, checked.Checked):
        return None
    return functools.partial(interface.completed, task)


def _tried(
    task: Any, drive: Any, network: Completion | None, script: str | None
) -> Any:
    """Return the drive completed, or as it is where that cannot be done."""
    try:
        return _changed(task, drive, network, script)
    except _FAILED as exc:
        if network is None and script is None:
            # There was nothing to add.
            return drive
        node = task.node
        told = (
            f'The config drive of node {node.name or node.uuid} stays as it '
            f'is: {exc}. Bonds and trunks may be missing in it'
        )
        if script is not None:
            node.del_driver_internal_info(os_metrics.RECORD)
            told += (
                f', and its system will not be watched as '
                f'{os_metrics.SWITCH} says'
            )
            conductor_lib.node_history_record(
                node,
                event=f'{told}.',
                event_type=states.DEPLOYING,
                error=False,
            )
        LOG.warning('%s.', told)
        return drive


def _changed(
    task: Any, drive: Any, network: Completion | None, script: str | None
) -> Any:
    """Return the drive with our part of it as it should be.

    :raises _Unreadable: it cannot be read.
    """
    if isinstance(drive, dict):
        return _changed_parts(drive, network, script)
    return _changed_image(drive, network, script, task.node.uuid)


def _changed_parts(
    drive: dict[str, Any], network: Completion | None, script: str | None
) -> dict[str, Any]:
    made = dict(drive)
    data = drive.get('network_data')
    if network and isinstance(data, dict):
        made['network_data'] = network(data)
    vendor = drive.get('vendor_data') or {}
    if not isinstance(vendor, dict):
        raise _Unreadable('its vendor_data is no object')
    changed = _merged(vendor, script)
    if changed:
        made['vendor_data'] = changed
    else:
        made.pop('vendor_data', None)
    return made


def _changed_image(
    drive: str,
    network: Completion | None,
    script: str | None,
    node_uuid: str,
) -> str:
    if drive.startswith(('http://', 'https://')):
        raise _Unreadable('it is in an object store')
    source = _opened(_unpacked(drive))
    completed: dict[str, Any] = {}
    files: dict[str, str] = {}
    # An OS reads the newest of these that it knows.
    for folder in _folders(source):
        path = f'{folder}/{NETWORK_DATA}'
        data = _read(source, path) if network else None
        if network and data is not None:
            key = json.dumps(data)
            if key not in completed:
                completed[key] = network(data)
            if completed[key] != data:
                files[path] = json.dumps(completed[key])
        path = f'{folder}/{VENDOR_DATA}'
        vendor = _read(source, path)
        changed = _merged(vendor or {}, script)
        if changed != (vendor or {}):
            files[path] = json.dumps(changed)
    return _written(source, files, node_uuid) if files else drive


def _merged(vendor: dict[str, Any], script: str | None) -> dict[str, Any]:
    try:
        return install.merged(vendor, script)
    except ValueError as exc:
        raise _Unreadable(str(exc)) from exc


def _opened(image: bytes) -> pycdlib.PyCdlib:
    source = pycdlib.PyCdlib()
    try:
        source.open_fp(io.BytesIO(image))
    except _BROKEN as exc:
        raise _Unreadable(f'it is no ISO image: {exc}') from exc
    return source


def _folders(source: pycdlib.PyCdlib) -> list[str]:
    """Return the paths of its versions, `latest` among them."""
    try:
        return [
            source.full_path_from_dirrecord(one, rockridge=True)
            for one in source.list_children(rr_path=VERSIONS)
            if one.is_dir() and not one.is_dot() and not one.is_dotdot()
        ]
    except _BROKEN as exc:
        raise _Unreadable(f'{VERSIONS} in it: {exc}') from exc


def _read(source: pycdlib.PyCdlib, path: str) -> dict[str, Any] | None:
    """Return what a file says; None: it is not there."""
    try:
        names = {
            source.full_path_from_dirrecord(one, rockridge=True)
            for one in source.list_children(rr_path=path.rpartition('/')[0])
            if not one.is_dot() and not one.is_dotdot()
        }
        if path not in names:
            return None
        with source.open_file_from_iso(rr_path=path) as file:
            data = json.loads(file.read(LIMIT_BYTES))
    except _BROKEN as exc:
        raise _Unreadable(f'{path} in it: {exc}') from exc
    if not isinstance(data, dict):
        raise _Unreadable(f'{path} in it is no object')
    return data


def _unpacked(drive: str) -> bytes:
    try:
        packed = base64.b64decode(drive, validate=False)
        unpacking = zlib.decompressobj(_GZIP)
        image = unpacking.decompress(packed, LIMIT_BYTES)
    except (binascii.Error, zlib.error) as exc:
        raise _Unreadable(f'it is no ISO image, packed: {exc}') from exc
    if not unpacking.eof:
        raise _Unreadable(
            f'it ends too early, or is larger than {LIMIT_BYTES >> 20} MiB'
        )
    return image


def _written(
    source: pycdlib.PyCdlib, files: dict[str, str], node_uuid: str
) -> str:
    with tempfile.TemporaryDirectory(dir=CONF.tempdir) as folder:
        target = pathlib.Path(folder) / 'config-2.iso'
        try:
            ironic_compat.rewrite_config_drive(
                source, target, files, node_uuid
            )
        except (*_BROKEN, ironic_exception.IronicException) as exc:
            raise _Unreadable(f'it cannot be made anew: {exc}') from exc
        packing = zlib.compressobj(wbits=_GZIP)
        packed = packing.compress(target.read_bytes()) + packing.flush()
    return base64.b64encode(packed).decode()
