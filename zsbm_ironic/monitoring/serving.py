# SPDX-License-Identifier: Apache-2.0
"""Serves a WSGI application to this host alone, in a thread of its own.

Used by the exporter and by the receiver of pushes; ended with `close`. Listens
on loopback or on a unix socket; the socket's file outlives a killed conductor
and is replaced by the next. Who asks slowly, or too often at once, is sent
away: a request has one deadline for all of it, and few are served at a time.
"""

import contextlib
import io
import os
import pathlib
import socket
import socketserver
import stat
import threading
import time
from typing import Any
from wsgiref import simple_server, types

UNIX_PREFIX = 'unix:'
SOCKET_MODE = 0o660
# For the whole of a request: one byte now and then must not hold a thread.
REQUEST_TIMEOUT_S = 10
# Requests that are served at the same time.
SLOTS = 32
_BUSY = (
    b'HTTP/1.0 503 Service Unavailable\r\n'
    b'Content-Length: 0\r\nRetry-After: 5\r\n\r\n'
)


class _Deadlined(io.RawIOBase):
    """Reads a connection until a moment; late is a time-out."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection, self._until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError('the request took too long')
        self._connection.settimeout(left_s)
        return self._connection.recv_into(buffer)


class _Handler(simple_server.WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT_S

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        until = time.monotonic() + REQUEST_TIMEOUT_S
        self.rfile = io.BufferedReader(_Deadlined(self.connection, until))

    def handle(self) -> None:
        # The client went away, or was too slow: nobody is to be told.
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape comes every few seconds."""


class _Server(socketserver.ThreadingMixIn, simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *words: Any) -> None:
        self._slots = threading.BoundedSemaphore(SLOTS)
        super().__init__(*words)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.sendall(_BUSY)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(
        self, request: Any, client_address: Any
    ) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()


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


class Listener:
    """An HTTP server in a thread of its own.

    :param listen: `ADDRESS:PORT` or `unix:PATH`.
    :param application: what answers, in several threads.
    :param name: of the thread.
    :raises OSError: the address is taken, or the folder is not ours.
    """

    def __init__(
        self, listen: str, application: types.WSGIApplication, name: str
    ) -> None:
        self._path: pathlib.Path | None = None
        self._server = self._bind(listen)
        self._server.set_app(application)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name=name, daemon=True
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


def answer(
    respond: types.StartResponse,
    status: str,
    body: bytes = b'',
    kind: str = 'text/plain; charset=utf-8',
) -> list[bytes]:
    """Return the body of an answer, its head given."""
    respond(
        status,
        [('Content-Type', kind), ('Content-Length', str(len(body)))],
    )
    return [body]
