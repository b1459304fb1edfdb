# SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, whoever is killed while writing.

Called by every room that keeps state, a configuration or a secret in a file.
"""

import os
import pathlib
import tempfile


def write(
    path: pathlib.Path,
    content: str | bytes,
    *,
    mode: int = 0o600,
    own: tuple[int, int] | None = None,
) -> None:
    """Replace a file by rename; it has its mode before it has content.

    :param mode: whatever the umask is.
    :param own: user and group that it is given to; None: the caller.
    :raises OSError: it cannot be; the file is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    # A leading dot: dnsmasq, nginx and our own readers pass over it.
    handle, draft = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
    try:
        with os.fdopen(handle, 'wb') as sink:
            os.fchmod(sink.fileno(), mode)
            if own is not None:
                os.fchown(sink.fileno(), *own)
            sink.write(data)
        pathlib.Path(draft).replace(path)
    except BaseException:
        os.unlink(draft)
        raise
