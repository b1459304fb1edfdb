# SPDX-License-Identifier: Apache-2.0
"""What Prometheus asks a conductor for, over HTTP on this host alone.

::

    /metrics          the board of readings, by the collector
    /sd               the systems to scrape, for http_sd_configs
    /pushed/UUID      what a system that cannot be scraped pushed last

Made once by the conductor, and ended with it.
"""

import json
import re
from collections.abc import Iterable
from wsgiref import types

import prometheus_client
from prometheus_client import registry

from zsbm_ironic.monitoring import discovery, push, serving

PUSHED = '/pushed/'
_TEXT = 'text/plain; version=0.0.4; charset=utf-8'
# What Prometheus calls us by, which is where it finds what was pushed.
_HOST = re.compile(
    r'(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])'
    r'(?::[0-9]{1,5})?\Z'
)


class Exporter(serving.Listener):
    """Answers Prometheus, in a thread of its own.

    :param listen: `ADDRESS:PORT` or `unix:PATH`, as [zsbm_monitoring]listen.
    :param collector: of /metrics.
    :param directory: of /sd.
    :param receiver: of /pushed.
    :raises OSError: the address is taken, or the folder is not ours.
    """

    def __init__(
        self,
        listen: str,
        collector: registry.Collector,
        directory: discovery.Directory,
        receiver: push.Receiver,
    ) -> None:
        metrics = prometheus_client.CollectorRegistry()
        metrics.register(collector)
        self._metrics = prometheus_client.make_wsgi_app(metrics)
        self._directory, self._receiver = directory, receiver
        super().__init__(listen, self._answer, 'zsbm-metrics')

    def _answer(
        self, environ: types.WSGIEnvironment, respond: types.StartResponse
    ) -> Iterable[bytes]:
        path = environ['PATH_INFO']
        if environ['REQUEST_METHOD'] not in ('GET', 'HEAD'):
            return serving.answer(respond, '405 Method Not Allowed')
        if path == '/metrics':
            return self._metrics(environ, respond)
        if path == '/sd':
            return self._systems(environ, respond)
        if path.startswith(PUSHED):
            text = self._receiver.recent(path.removeprefix(PUSHED))
            if text is not None:
                return serving.answer(respond, '200 OK', text, _TEXT)
        return serving.answer(respond, '404 Not Found')

    def _systems(
        self, environ: types.WSGIEnvironment, respond: types.StartResponse
    ) -> Iterable[bytes]:
        systems = self._directory.look()
        if systems is None:
            # Not [], at which Prometheus would forget what it scrapes.
            return serving.answer(
                respond, '503 Service Unavailable', b'Not known yet.\n'
            )
        host = environ.get('HTTP_HOST', '')
        if not _HOST.match(host):
            return serving.answer(respond, '400 Bad Request')
        found = discovery.http_sd(systems, host, PUSHED)
        return serving.answer(
            respond,
            '200 OK',
            json.dumps(found).encode(),
            'application/json',
        )
