# SPDX-License-Identifier: Apache-2.0
"""Makes the OS of a rehearsal tell on a serial port how far it is.

Only a copy that is thrown away is changed so: how a server's console is set
is its owner's choice.
"""

import pathlib
import re

from zsbm_ironic.image import editing, exception, menu, system, tree

_PORTS = {'x86_64': 'ttyS0,115200', 'aarch64': 'ttyAMA0,115200'}
_SILENCE = frozenset({'quiet', 'splash', 'rhgb'})


def speak(found: system.System, image: editing.Editing) -> None:
    """Have the entry that boots write to the first serial port.

    :raises NotEditable: the entry cannot be found in its file.
    """
    entry = found.boots
    port = _PORTS.get(found.architecture or '')
    if entry is None or port is None:
        return
    words = [f'console={port}', 'systemd.show_status=1']
    path = entry.written_in
    text = tree.text(found.files, path)
    changed = _with_words(text, entry, words)
    if changed == text:
        raise exception.NotEditable(
            image=found.files.name,
            what=path,
            why='the line of the kernel that boots is not found in it',
        )
    image.write_text(path, changed)
    image.note(
        'console',
        f'{path} has console={port}',
        'a rehearsal reads what the serial port says',
    )


def _with_words(text: str, entry: menu.Entry, words: list[str]) -> str:
    """Change the first line that starts the entry's kernel."""
    if entry.written_in in menu.GRUB:
        name = re.escape(pathlib.PurePosixPath(entry.kernel).name)
        line = re.compile(
            rf'^\s*linux(?:16|efi)?\s+\S*/?{name}(?=\s|$).*$', re.M
        )
    else:
        line = re.compile(r'^options\b.*$', re.M)
    return line.sub(
        lambda match: ' '.join(
            [word for word in match[0].split() if word not in _SILENCE] + words
        ),
        text,
        count=1,
    )
