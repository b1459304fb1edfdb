# SPDX-License-Identifier: Apache-2.0
"""Takes the figures of systems that Prometheus cannot reach.

::

    server: POST /v1/push/UUID, bearer token -> nginx (TLS) -> PushListener
        -> Receiver -> exporter, /pushed/UUID -> Prometheus

A token is bound to one node, made at its deploy, and known here by its digest
alone. Prometheus scrapes what was pushed like any system, so that labels,
limits and silence are its business as everywhere. Nothing is kept on disk.
"""

import collections
import hashlib
import hmac
import re
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from wsgiref import types

from zsbm_ironic.monitoring import exception, exposition, serving

PATH = '/v1/push/'
# Of a push: prometheus-node-exporter on a large server has 0.5 MB.
BODY_BYTES = 1 << 20
SERIES = 5000
# Older figures are not passed on.
FRESH_S = 30.0
# Between two pushes of one server.
PAUSE_S = 5.0
RESULTS = (
    'accepted',
    'malformed',
    'too_large',
    'too_often',
    'too_slow',
    'unauthorized',
)

_BEARER = re.compile(r'[Bb]earer ([A-Za-z0-9_-]{20,128})\Z')
_LENGTH = re.compile(r'[0-9]{1,9}\Z')
# Compared with where there is no node, so that this takes as long.
_NOBODY = hashlib.sha256(b'').hexdigest()


def digest(token: str) -> str:
    """Return what is kept of a token: it is random, so a plain hash will do.

    :returns: SHA-256, in hexadecimal digits.
    """
    return hashlib.sha256(token.encode()).hexdigest()


class Receiver:
    """The last push of each server; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._digests: dict[str, str] = {}
        self._pushed: dict[str, tuple[float, bytes]] = {}
        self._begun_at: dict[str, float] = {}
        self._results: collections.Counter[str] = collections.Counter()

    def allow(self, digests: Mapping[str, str]) -> None:
        """Take pushes of these nodes alone, by UUID."""
        with self._lock:
            self._digests = dict(digests)
            for of_nodes in (self._pushed, self._begun_at):
                for gone in of_nodes.keys() - self._digests.keys():
                    del of_nodes[gone]

    def knows(self, node_uuid: str, token: str) -> bool:
        """Say whether a token is that of a node, in constant time."""
        with self._lock:
            expected = self._digests.get(node_uuid)
        same = hmac.compare_digest(digest(token), expected or _NOBODY)
        return same and expected is not None

    def begin(self, node_uuid: str) -> bool:
        """Say whether it is time for another push of a node, and note it."""
        now = time.monotonic()
        with self._lock:
            if now - self._begun_at.get(node_uuid, -PAUSE_S) < PAUSE_S:
                return False
            self._begun_at[node_uuid] = now
            return True

    def accept(self, node_uuid: str, body: bytes) -> None:
        """Keep a push in place of the one before.

        :raises PushRefused: it is not as it should be; the last one stays.
        """
        taken = exposition.take(body, SERIES)
        kept = zlib.compress(taken.text.encode(), 1)
        with self._lock:
            if node_uuid in self._digests:
                self._pushed[node_uuid] = (time.monotonic(), kept)

    def recent(self, node_uuid: str) -> bytes | None:
        """Return what a node pushed; None: nothing, or not lately."""
        with self._lock:
            at, kept = self._pushed.get(node_uuid, (0.0, b''))
        if not kept or time.monotonic() - at > FRESH_S:
            return None
        return zlib.decompress(kept)

    def count(self, result: str) -> None:
        """Count a push, by one of RESULTS."""
        with self._lock:
            self._results[result] += 1

    def counts(self) -> dict[str, int]:
        """Return how many pushes had each result."""
        with self._lock:
            return {result: self._results[result] for result in RESULTS}


class PushListener(serving.Listener):
    """Takes pushes, in a thread of its own.

    :param listen: `ADDRESS:PORT` or `unix:PATH`, as
        [zsbm_monitoring]push_listen.
    :raises OSError: the address is taken, or the folder is not ours.
    """

    def __init__(self, listen: str, receiver: Receiver) -> None:
        self._receiver = receiver
        super().__init__(listen, self._answer, 'zsbm-push')

    def _answer(
        self, environ: types.WSGIEnvironment, respond: types.StartResponse
    ) -> Iterable[bytes]:
        status, result, text = self._taken(environ)
        if result:
            self._receiver.count(result)
        return serving.answer(respond, status, text.encode())

    def _taken(self, environ: types.WSGIEnvironment) -> tuple[str, str, str]:
        """Return the status, what it counts as, and a text for the server.

        Before a token is known to be right nothing of the body is read, and
        no answer tells a wrong token from a node that is not there.
        """
        path = environ['PATH_INFO']
        if not path.startswith(PATH):
            return '404 Not Found', '', ''
        if environ['REQUEST_METHOD'] not in ('POST', 'PUT'):
            return '405 Method Not Allowed', '', 'POST it.\n'
        node_uuid = path.removeprefix(PATH)
        said = _BEARER.match(environ.get('HTTP_AUTHORIZATION', ''))
        if said is None or not self._receiver.knows(node_uuid, said[1]):
            return (
                '401 Unauthorized',
                'unauthorized',
                'Not the token of this server.\n',
            )
        length = environ.get('CONTENT_LENGTH') or ''
        if not _LENGTH.match(length) or 'HTTP_TRANSFER_ENCODING' in environ:
            return (
                '411 Length Required',
                'malformed',
                'Say its length, and send it in one piece.\n',
            )
        if environ.get('HTTP_CONTENT_ENCODING', 'identity') != 'identity':
            return (
                '415 Unsupported Media Type',
                'malformed',
                'Send it as plain text.\n',
            )
        if int(length) > BODY_BYTES:
            return (
                '413 Content Too Large',
                'too_large',
                f'More than {BODY_BYTES} bytes.\n',
            )
        if not self._receiver.begin(node_uuid):
            return (
                '429 Too Many Requests',
                'too_often',
                f'Once in {PAUSE_S:.0f} s at most.\n',
            )
        return self._read(environ, node_uuid, int(length))

    def _read(
        self, environ: types.WSGIEnvironment, node_uuid: str, length: int
    ) -> tuple[str, str, str]:
        try:
            body = environ['wsgi.input'].read(length)
        except OSError:
            return '408 Request Timeout', 'too_slow', 'Too slow.\n'
        if len(body) < length:
            return '400 Bad Request', 'malformed', 'It ends too early.\n'
        try:
            self._receiver.accept(node_uuid, body)
        except exception.PushRefused as exc:
            return '400 Bad Request', 'malformed', f'{exc}\n'
        return '204 No Content', 'accepted', ''
