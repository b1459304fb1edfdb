# SPDX-License-Identifier: Apache-2.0
"""Lets the network interfaces of a server have the names of the image's.

An image's network settings name the interfaces of a VM; a server's come after
its slots. A .link file of udev (systemd.link(5)) gives each the old name by
its MAC, so what the user has set up holds as it is.
"""

import re
from collections.abc import Mapping

from zsbm_ironic.image import editing, hardware, system, tree

FOLDER = '/etc/systemd/network'
_OURS = '10-zsbm-'
_MAC = re.compile(r'^(?:Permanent)?MACAddress=(\S+)', re.M)
_NAME = re.compile(r'^Name=(\S+)', re.M)


def fixed(found: system.System) -> tuple[str, ...]:
    """Return names that a server would not have by itself."""
    entry = found.boots
    kernel_names = entry is not None and entry.parameter('net.ifnames') == '0'
    return tuple(
        name
        for name in found.interfaces
        if not re.search(r'[*?!\[]', name)
        and not (kernel_names and re.fullmatch(r'eth\d+', name))
    )


def given(found: system.System) -> Mapping[str, str]:
    """Return MACs by the name that a .link file gives."""
    names = {}
    for name in found.files.names(FOLDER):
        if name.endswith('.link'):
            text = tree.text(found.files, f'{FOLDER}/{name}')
            mac, to = _MAC.search(text), _NAME.search(text)
            if mac and to:
                names[to[1]] = mac[1].lower()
    return names


def lost(found: system.System, wanted: hardware.Hardware) -> tuple[str, ...]:
    """Return names of the settings that no interface of a server gets."""
    known = given(found)
    macs = {nic.mac for nic in wanted.nics}
    return tuple(
        name for name in fixed(found) if known.get(name) not in macs - {None}
    )


def give(
    found: system.System, wanted: hardware.Hardware, image: editing.Editing
) -> bool:
    """Write .link files: names in their order to MACs in theirs.

    :returns: whether there was a MAC to give a name to.
    """
    known = given(found)
    taken = {known[name] for name in fixed(found) if name in known}
    macs = [nic.mac for nic in wanted.nics if nic.mac]
    free = [mac for mac in macs if mac not in taken]
    for name, mac in zip(lost(found, wanted), free, strict=False):
        path = f'{FOLDER}/{_OURS}{name}.link'
        image.write_text(
            path, f'[Match]\nMACAddress={mac}\n\n[Link]\nName={name}\n'
        )
        image.note(
            'nic-name',
            f'{path} calls {mac} {name}',
            'the network settings have this name',
        )
    return bool(free)
