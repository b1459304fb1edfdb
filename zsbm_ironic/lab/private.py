# SPDX-License-Identifier: Apache-2.0
"""Files of the lab that hold secrets: whole or not there, never readable.

Called wherever the lab writes a password, a configuration or an enrolment.
"""

import os
import pathlib


def write(
    path: pathlib.Path,
    text: str,
    *,
    mode: int = 0o600,
    own: tuple[int, int] | None = None,
) -> None:
    """Replace a file by rename; it has its mode before it has content.

    :param own: user and group that it is given to; None: the caller.
    """
    draft = path.with_suffix('.new')
    draft.unlink(missing_ok=True)
    with open(
        draft, 'w', opener=lambda name, flags: os.open(name, flags, mode)
    ) as sink:
        sink.write(text)
    if own is not None:
        os.chown(draft, *own)
    draft.rename(path)
