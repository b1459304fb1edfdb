# SPDX-License-Identifier: Apache-2.0
"""The Redfish side of an emulated BMC: sushy-tools behind HTTPS.

sushy-tools keeps one application per process in a module; each server here
has a copy of that module of its own, so that a test may run several. Faults
act on connections: one that is lost is accepted and never answered; and on
what is asked on one that was kept, which breaks off, or is not answered where
the BMC is silent.
"""

import contextlib
import dataclasses
import http
import importlib.util
import io
import logging
import pathlib
import socket
import ssl
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug import serving

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import faults as faults_room
from zsbm_ironic.lab.emulator.redfish import (
    auth,
    certificate,
    driver,
    events,
    pages,
)

LOG = logging.getLogger(__name__)

_APPLICATION = 'sushy_tools.emulator.main'

#: A client that connects and says nothing gives its thread back after this.
_CLIENT_TIMEOUT_S = 60
_REQUEST_BYTES = 1 << 20


@dataclasses.dataclass(frozen=True)
class RedfishSettings:
    """How a BMC answers Redfish.

    :ivar port: TCP port; 0 lets the kernel choose.
    :ivar tls: False serves plain HTTP.
    :ivar events: tell of changes of power by themselves.
    :ivar state_dir: keeps the certificate between starts; None makes a new
        one in a directory that is removed at the end.
    """

    address: str = '127.0.0.1'
    port: int = 0
    username: str = 'admin'
    password: str = 'password'  # noqa: S105 - what factories set
    tls: bool = True
    events: bool = False
    state_dir: pathlib.Path | None = None


class Server:
    """Serves one chassis until `stop`."""

    def __init__(
        self,
        chassis: chassis_room.Chassis,
        settings: RedfishSettings,
        faults: faults_room.Faults,
    ) -> None:
        self.chassis = chassis
        self.settings = settings
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if settings.state_dir is None:
            self._temporary = tempfile.TemporaryDirectory(prefix='zsbm-bmc-')
            self._directory = pathlib.Path(self._temporary.name)
        else:
            self._directory = settings.state_dir
            self._directory.mkdir(parents=True, exist_ok=True)
        self.certificate = self._directory / 'bmc.pem'
        if not self.certificate.exists():
            self._create_certificate()
        application = application_of(chassis, self._directory)
        self.gate = auth.Gate(
            application.wsgi_app, settings.username, settings.password, faults
        )
        application.register_blueprint(auth.routes(self.gate))
        if settings.events:
            application.register_blueprint(events.routes(chassis, faults))
        application.wsgi_app = self.gate
        self._http = HttpServer(
            settings, application, lambda _connection: faults
        )
        self._load_certificate()
        self._http.take_connections()

    @property
    def port(self) -> int:
        """TCP port that is served."""
        return self._http.port

    @property
    def url(self) -> str:
        """Address for clients: scheme, host, port."""
        scheme = 'https' if self.settings.tls else 'http'
        return f'{scheme}://{self.settings.address}:{self.port}'

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as driver_info takes it."""
        return certificate.fingerprint(self.certificate)

    def change_certificate(self) -> None:
        """Serve a new key and certificate from now on, to everybody."""
        self._create_certificate()
        self._load_certificate()
        self._http.hang_up()

    def restart(self) -> None:
        """Forget all sessions; faults see to the silence."""
        self.gate.forget()
        self._http.hang_up()

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self._http.stop()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _create_certificate(self) -> None:
        asset = self.chassis.asset
        certificate.create(
            self.certificate,
            f'bmc-{asset.serial_number.lower()}',
            asset.manufacturer,
        )

    def _load_certificate(self) -> None:
        if self.settings.tls:
            self._http.tls = certificate.context(self.certificate)


def application_of(chassis: chassis_room.Chassis, state: pathlib.Path) -> Any:
    """Return a copy of sushy-tools' application that serves our chassis."""
    spec = importlib.util.find_spec(_APPLICATION)
    if spec is None or spec.loader is None:
        raise ImportError(_APPLICATION)
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    systems = driver.SystemsDriver(chassis)
    # The driver that `SUSHY_EMULATOR_FAKE_DRIVER` chooses is looked up by
    # these names in the module; in this copy they are ours.
    module.fakedriver = types.SimpleNamespace(
        FakeDriver=types.SimpleNamespace(
            initialize=lambda config, logger: lambda: systems
        )
    )
    module.inddriver = types.SimpleNamespace(
        StaticDriver=lambda config, logger: driver.Indicators(chassis)
    )
    application = module.app
    application.configure(extra_config=_configuration(chassis, state))
    pages.Pages(chassis).install(application)
    return application


def _configuration(
    chassis: chassis_room.Chassis, state: pathlib.Path
) -> dict[str, Any]:
    identity = str(chassis.asset.uuid)
    buses: dict[str, list[chassis_room.DiskInfo]] = {}
    for disk in chassis.asset.disks:
        buses.setdefault(disk.bus, []).append(disk)
    return {
        'SUSHY_EMULATOR_FAKE_DRIVER': True,
        'SUSHY_EMULATOR_STATE_DIR': str(state / 'sushy-tools'),
        'SUSHY_EMULATOR_VMEDIA_DEVICES': {
            'Cd': {'Name': 'Virtual CD', 'MediaTypes': ['CD', 'DVD']}
        },
        'SUSHY_EMULATOR_CHASSIS': [
            {'Id': 'Box', 'Name': chassis.asset.name, 'UUID': identity}
        ],
        'SUSHY_EMULATOR_STORAGE': {
            identity: [_storage(bus, buses[bus]) for bus in buses]
        },
        'SUSHY_EMULATOR_DRIVES': {
            (identity, bus): [
                {
                    'Id': disk.name,
                    'Name': disk.name,
                    'CapacityBytes': disk.size_bytes,
                    'Protocol': 'NVMe' if bus == 'nvme' else 'SATA',
                }
                for disk in disks
            ]
            for bus, disks in buses.items()
        },
    }


def _storage(bus: str, disks: list[chassis_room.DiskInfo]) -> dict[str, Any]:
    return {
        'Id': bus,
        'Name': f'{bus} controller',
        'StorageControllers': [
            {'MemberId': '0', 'Name': f'{bus} controller', 'SpeedGbps': 6}
        ],
        'Drives': [disk.name for disk in disks],
    }


class _Kept(serving.WSGIRequestHandler):
    """Keeps a connection for the next request, as BMCs do.

    werkzeug's own closes it after each, which makes every question cost a
    handshake. What is logged goes through logging, at debug level.
    """

    protocol_version = 'HTTP/1.1'
    server: 'HttpServer'
    _has_answered = False

    def run_wsgi(self) -> None:
        """Answer one request."""
        if self._has_answered and self.server.is_lost(self.connection):
            self.close_connection = True
            return
        self._has_answered = True
        self.environ = self.make_environ()
        # Read before it is answered: what is left of it would be taken for
        # the next request.
        length = self.headers.get('Content-Length', '0')
        if not length.isdecimal() or int(length) > _REQUEST_BYTES:
            self.send_error(http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.close_connection = True
            return
        self.environ['wsgi.input'] = io.BytesIO(self.rfile.read(int(length)))
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def start(
            status: str, headers: list[tuple[str, str]], _error: Any = None
        ) -> Any:
            told.append((status, headers))

        parts = self.server.app(self.environ, start)
        try:
            self._send(*told[-1], parts)
        finally:
            if hasattr(parts, 'close'):
                parts.close()

    def _send(
        self,
        status: str,
        headers: list[tuple[str, str]],
        parts: Iterable[bytes],
    ) -> None:
        code, _, reason = status.partition(' ')
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        sized = any(name.lower() == 'content-length' for name, _ in headers)
        if not sized and int(code) != http.HTTPStatus.NO_CONTENT:
            # Its end is that of the answer.
            self.send_header('Connection', 'close')
        self.end_headers()
        if self.command != 'HEAD':
            for part in parts:
                self.wfile.write(part)

    def log(self, type: str, message: str, *args: Any) -> None:
        LOG.debug('%s %s', self.address_string(), message % args)


class HttpServer(serving.ThreadedWSGIServer):
    """A thread per connection; TLS is begun in it, never in the acceptor.

    :param faults_of: tells the faults of the BMC that a connection is to.
    """

    daemon_threads = True

    def __init__(
        self,
        settings: RedfishSettings,
        application: Any,
        faults_of: Callable[[socket.socket], faults_room.Faults],
    ) -> None:
        super().__init__(settings.address, settings.port, application, _Kept)
        self.tls: ssl.SSLContext | None = None
        self._faults_of = faults_of
        self._held: list[tuple[socket.socket, float]] = []
        self._ending = threading.Event()
        self._kept: set[socket.socket] = set()
        self._thread = threading.Thread(
            target=self.serve_forever,
            kwargs={'poll_interval': 0.1},
            name=f'redfish-{self.port}',
            daemon=True,
        )

    def take_connections(self) -> None:
        """Begin to serve."""
        # Only for the URL scheme: the socket itself stays plain.
        self.ssl_context = self.tls
        self._thread.start()

    def stop(self) -> None:
        """End the acceptor and close what is held."""
        self._ending.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection, _ in self._held:
            connection.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, or hold it for ever unanswered."""
        if self._faults_of(request).loses_packet():
            self._held.append((request, time.monotonic()))
            return
        super().process_request(request, client_address)

    def hang_up(self, address: str | None = None) -> None:
        """Break off what is kept, as a web server that is started anew.

        :param address: of one BMC; None is all.
        """
        for connection in list(self._kept):
            with contextlib.suppress(OSError):
                if address in (None, connection.getsockname()[0]):
                    # Not as TLS has it, which is in the hands of a thread.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def is_lost(self, connection: socket.socket) -> bool:
        """Decide for a request on a connection that was kept.

        A silent BMC is silent for as long as a client may wait.
        """
        faults = self._faults_of(connection)
        if not faults.loses_packet():
            time.sleep(faults.delay_s)
            return False
        if faults.is_silent:
            self._ending.wait(_CLIENT_TIMEOUT_S)
        return True

    def service_actions(self) -> None:
        """Let go of connections that were held for long enough."""
        now = time.monotonic()
        for connection, since in list(self._held):
            if now - since > _CLIENT_TIMEOUT_S:
                self._held.remove((connection, since))
                connection.close()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Begin TLS, be late if that is the fault of the day, then serve."""
        request.settimeout(_CLIENT_TIMEOUT_S)
        delay_s = self._faults_of(request).delay_s
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        time.sleep(delay_s)
        self._kept.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._kept.discard(request)
        if self.tls is not None:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Note it: a client that does not like our certificate hangs up."""
        LOG.debug(
            'Connection of %s failed: %s', client_address, sys.exc_info()[1]
        )
