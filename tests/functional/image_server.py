# SPDX-License-Identifier: Apache-2.0
"""An HTTP server on loopback with an image that no disk ever sees."""

import functools
import hashlib
import http.server
import pathlib
import threading

import fixtures

from tests import bmcs


class FolderServer(fixtures.Fixture):
    """Serves the files of a folder.

    :ivar port: 0: one that is free.
    """

    def __init__(self, folder, port=0, address=bmcs.ADDRESS):
        super().__init__()
        self._folder, self.port, self._address = folder, port, address

    def _setUp(self):
        server = http.server.ThreadingHTTPServer(
            (self._address, self.port),
            functools.partial(_Handler, directory=str(self._folder)),
        )
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)


class ImageServer(fixtures.Fixture):
    """Serves one small image; `instance_info` says which."""

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'image.raw').write_bytes(b'\0' * 1024)
        port = self.useFixture(FolderServer(folder)).port
        self.instance_info = {
            'image_source': f'http://{bmcs.ADDRESS}:{port}/image.raw',
            'image_checksum': hashlib.sha256(b'\0' * 1024).hexdigest(),
            'image_type': 'whole-disk',
        }


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass
