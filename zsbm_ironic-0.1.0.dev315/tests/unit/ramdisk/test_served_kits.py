# SPDX-License-Identifier: Apache-2.0
"""A kernel is fetched whole, or not at all."""

import contextlib
import functools
import hashlib
import http.server
import pathlib
import threading

import fixtures
import requests
import testtools
from ironic_python_agent import config

from zsbm_ironic.image import exception
from zsbm_ironic.ramdisk import served_kits

KIT = b'kernel' * 1000


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class ServedKitsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        config.populate_config()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (self.folder / 'a.kit').write_bytes(KIT)
        server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0),
            functools.partial(Quiet, directory=str(self.folder)),
        )
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.url = f'http://127.0.0.1:{server.server_port}/a.kit'
        self.target = self.folder / 'target'

    def fetch(self, content: bytes = KIT) -> None:
        digest = hashlib.sha256(content).hexdigest()
        served_kits.fetch(self.url, digest, len(content), self.target)

    def test_what_was_promised(self) -> None:
        self.fetch()
        self.assertEqual(KIT, self.target.read_bytes())

    def test_something_else(self) -> None:
        for other in (KIT[:-1], KIT + b'.', KIT[:-1] + b'.'):
            error = self.assertRaises(
                exception.KitNotFetched, self.fetch, other
            )
            self.assertIn(self.url, str(error))

    def test_nothing_there(self) -> None:
        self.url += 's'
        self.assertRaises(requests.HTTPError, self.fetch)

    def test_a_node_is_told_which_kernel_is_not_there(self) -> None:
        with contextlib.ExitStack() as end:
            kit_of = served_kits.source({}, end)
            self.assertIsNone(kit_of('debian 12', 'x86_64'))
            served = {
                'debian-12-x86_64': {
                    'url': f'{self.url}s',
                    'sha256': '',
                    'size_bytes': 1,
                }
            }
            error = self.assertRaises(
                exception.KitNotFetched,
                served_kits.source(served, end),
                'debian 12',
                'x86_64',
            )
        self.assertIn('404', str(error))
