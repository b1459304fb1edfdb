# SPDX-License-Identifier: Apache-2.0
"""Has a config drive tell the OS of bonds and trunks, before it is written.

Called by `deploy` as a deploy begins; what is missing is told by the network
interface. A drive is an ISO image that Nova or a person made, so nothing in it
is trusted: one that cannot be read is written to the disk as it is, as
upstream does.
"""

import base64
import binascii
import io
import json
import pathlib
import struct
import tempfile
import zlib
from typing import Any

import pycdlib
from ironic.common import exception as ironic_exception
from ironic.conf import CONF
from oslo_concurrency import processutils
from oslo_log import log
from pycdlib import pycdlibexception

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.drivers import events
from zsbm_ironic.network import checked

LOG = log.getLogger(__name__)

NETWORK_DATA = '/openstack/latest/network_data.json'
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


def complete(task: Any) -> None:
    """Add to the config drive of a node what it does not tell yet.

    :raises ZsbmError: Neutron cannot be asked.
    """
    node = task.node
    drive = node.instance_info.get('configdrive')
    interface = task.driver.network
    if not drive or not isinstance(interface, checked.Checked):
        return
    try:
        if isinstance(drive, dict):
            made: Any = _completed_parts(interface, task, drive)
        else:
            made = _completed_image(interface, task, drive)
    except (_Unreadable, OSError, processutils.ProcessExecutionError) as exc:
        LOG.warning(
            'The config drive of node %s stays as it is; bonds and trunks '
            'may be missing in it: %s',
            node.uuid,
            exc,
        )
        return
    if made == drive:
        return
    node.set_instance_info('configdrive', made)
    node.save()
    events.note(node.uuid, 'conductor', 'config-drive-completed')


def _completed_parts(
    interface: checked.Checked, task: Any, drive: dict[str, Any]
) -> dict[str, Any]:
    data = drive.get('network_data')
    if not isinstance(data, dict):
        return drive
    return {**drive, 'network_data': interface.completed(task, data)}


def _completed_image(interface: checked.Checked, task: Any, drive: str) -> str:
    if drive.startswith(('http://', 'https://')):
        raise _Unreadable('it is in an object store')
    source, data = _read(_unpacked(drive))
    made = interface.completed(task, data)
    if made == data:
        return drive
    return _written(source, json.dumps(made), task.node.uuid)


def _read(image: bytes) -> tuple[pycdlib.PyCdlib, dict[str, Any]]:
    source = pycdlib.PyCdlib()
    try:
        source.open_fp(io.BytesIO(image))
        with source.open_file_from_iso(rr_path=NETWORK_DATA) as file:
            data = json.loads(file.read(LIMIT_BYTES))
    except _BROKEN as exc:
        raise _Unreadable(f'{NETWORK_DATA} in it: {exc}') from exc
    if not isinstance(data, dict):
        raise _Unreadable(f'{NETWORK_DATA} in it is no object')
    return source, data


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


def _written(source: pycdlib.PyCdlib, data: str, node_uuid: str) -> str:
    with tempfile.TemporaryDirectory(dir=CONF.tempdir) as folder:
        target = pathlib.Path(folder) / 'config-2.iso'
        try:
            ironic_compat.rewrite_config_drive(
                source, target, {NETWORK_DATA: data}, node_uuid
            )
        except (*_BROKEN, ironic_exception.IronicException) as exc:
            raise _Unreadable(f'it cannot be made anew: {exc}') from exc
        packing = zlib.compressobj(wbits=_GZIP)
        packed = packing.compress(target.read_bytes()) + packing.flush()
    return base64.b64encode(packed).decode()
