# SPDX-License-Identifier: Apache-2.0
"""Serves the metrics of one collector over HTTP, to this host alone.

Started once by the conductor, ended with `close`. Listens on loopback or on a
unix socket; the socket's file outlives a killed conductor and is replaced by
the next.
"""

import contextlib
import os
import pathlib
import socket
import socketserver
import stat
import threading
from typing import Any
from wsgiref import simple_server

import prometheus_client
from prometheus_client import registry

UNIX_PREFIX = 'unix:'
SOCKET_MODE = 0o660
# A scraper that stops in mid-request must not hold its thread for ever.
REQUEST_TIMEOUT_S = 10


class _Handler(simple_server.WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape comes every few seconds."""


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


class _UnixServer(_Server):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        # HTTPServer would look up a host name for the path.
        socketserver.TCPServer.server_bind(self)
        os.chmod(str(self.server_address), SOCKET_MODE)
        self.server_name, self.server_port = 'localhost', 0
        self.setup_environ()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, _ = self.socket.accept()
        # The handler takes the client's address apart.
        return connection, ('localhost', 0)


class Exporter:
    """An HTTP server in a thread of its own.

    :param listen: `ADDRESS:PORT` or `unix:PATH`, as [zsbm_monitoring]listen.
    :raises OSError: the address is taken, or the folder is not ours.
    """

    def __init__(self, listen: str, collector: registry.Collector) -> None:
        metrics = prometheus_client.CollectorRegistry()
        metrics.register(collector)
        self._path: pathlib.Path | None = None
        self._server = self._bind(listen)
        self._server.set_app(prometheus_client.make_wsgi_app(metrics))
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            name='zsbm-metrics',
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port; 0 for a unix socket."""
        return self._server.server_port

    def close(self) -> None:
        """Stop serving; safe to call twice."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _bind(self, listen: str) -> _Server:
        if listen.startswith(UNIX_PREFIX):
            self._path = pathlib.Path(listen.removeprefix(UNIX_PREFIX))
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISSOCK(self._path.lstat().st_mode):
                    self._path.unlink()
            # Any: typeshed knows no server on a path.
            address: Any = str(self._path)
            return _UnixServer(address, _Handler)
        host, _, port = listen.rpartition(':')
        kind = _Ipv6Server if host.startswith('[') else _Server
        return kind((host.strip('[]'), int(port)), _Handler)
