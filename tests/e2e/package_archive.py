# SPDX-License-Identifier: Apache-2.0
"""A Debian archive inside the lab's network, for systems that are deployed."""

import functools
import http.server
import pathlib
import posixpath
import threading

import fixtures

from zsbm_ironic.common import apt, process
from zsbm_ironic.lab import layout, network


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(posixpath.basename(self.path))
        super().do_GET()

    def log_message(self, *words):
        pass


class Archive(fixtures.Fixture):
    """Some packages with all that they need, served where servers boot.

    :ivar line: of sources.list; this archive is not signed.
    """

    def __init__(self, release, packages):
        super().__init__()
        self._release, self._packages = release, packages

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        pool = folder / 'pool'
        pool.mkdir()
        private = apt.PrivateApt(folder / 'apt', self._release)
        private.update()
        index = [
            self._offered(one, pool)
            for one in private.download_whole(self._packages)
        ]
        (pool / 'Packages').write_text('\n'.join(index))
        self._server = network.call(
            lambda: http.server.ThreadingHTTPServer(
                (layout.CONDUCTOR_ADDRESSES[0], 0),
                functools.partial(_Handler, directory=str(pool)),
            )
        )
        self._server.asked = []
        host, port = self._server.server_address
        self.line = f'deb [trusted=yes] http://{host}:{port}/ ./'
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)

    def _offered(self, package, pool):
        """Put a package into the pool; return its part of the index."""
        path = package.path.rename(pool / f'{package.name}.deb')
        control = process.run(['dpkg-deb', '--field', path], timeout_s=30)
        return (
            f'{control.stdout.strip()}\nFilename: ./{path.name}\n'
            f'Size: {path.stat().st_size}\nSHA256: {package.sha256}\n'
        )

    def fetched(self):
        """Return the names of the packages that somebody fetched."""
        return {
            name.removesuffix('.deb')
            for name in self._server.asked
            if name.endswith('.deb')
        }
