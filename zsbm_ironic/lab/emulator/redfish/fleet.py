# SPDX-License-Identifier: Apache-2.0
"""One HTTPS server for the BMCs of a whole network.

Which BMC a connection is to, its own address says. sushy-tools' application
is there once: it is told of the chassis by a proxy that stands for the one of
the connection, in whose thread a request is served.
"""

import contextvars
import dataclasses
import pathlib
import socket
import tempfile
from collections.abc import Mapping
from typing import Any

from werkzeug import local

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import faults as faults_room
from zsbm_ironic.lab.emulator.redfish import auth, certificate, server


@dataclasses.dataclass
class Member:
    """One BMC of the fleet.

    :ivar gate: its sessions; made by the fleet.
    """

    chassis: chassis_room.Chassis
    faults: faults_room.Faults
    gate: auth.Gate | None = None


_CURRENT: contextvars.ContextVar[Member] = contextvars.ContextVar('member')


class Fleet:
    """Serves until `stop`; all members have one certificate and user.

    :param settings: address 0.0.0.0 for all of the network.
    :param members: by their addresses.
    """

    def __init__(
        self,
        settings: server.RedfishSettings,
        members: Mapping[str, Member],
    ) -> None:
        self._members = dict(members)
        self._folder = tempfile.TemporaryDirectory(prefix='zsbm-fleet-')
        folder = pathlib.Path(self._folder.name)
        self._certificate = folder / 'bmc.pem'
        first = next(iter(self._members.values()))
        maker = first.chassis.asset.manufacturer
        certificate.create(self._certificate, 'bmc', maker)
        # What the application reads as it is made is the same for all.
        token = _CURRENT.set(first)
        chassis: Any = local.LocalProxy(lambda: _CURRENT.get().chassis)
        application = server.application_of(chassis, folder)
        _CURRENT.reset(token)
        for one in self._members.values():
            one.gate = auth.Gate(
                application.wsgi_app,
                settings.username,
                settings.password,
                one.faults,
            )
        gate: Any = local.LocalProxy(lambda: _CURRENT.get().gate)
        application.register_blueprint(auth.routes(gate))
        application.wsgi_app = gate
        self._http = _FleetServer(settings, application, self._members)
        if settings.tls:
            self._http.tls = certificate.context(self._certificate)
        self._http.take_connections()

    @property
    def port(self) -> int:
        """TCP port that is served."""
        return self._http.port

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as driver_info takes it."""
        return certificate.fingerprint(self._certificate)

    def forget(self, address: str) -> None:
        """Drop the sessions of one BMC, as its restart does."""
        gate = self._members[address].gate
        if gate:
            gate.forget()
        self._http.hang_up(address)

    def stop(self) -> None:
        """Stop serving and close the socket."""
        self._http.stop()
        self._folder.cleanup()


class _FleetServer(server.HttpServer):
    def __init__(
        self,
        settings: server.RedfishSettings,
        application: Any,
        members: Mapping[str, Member],
    ) -> None:
        self._members = members
        super().__init__(
            settings, application, lambda one: self._member(one).faults
        )

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Take no connection to an address without a BMC."""
        return request.getsockname()[0] in self._members

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve as the BMC that the connection is to."""
        token = _CURRENT.set(self._member(request))
        try:
            super().finish_request(request, client_address)
        finally:
            _CURRENT.reset(token)

    def _member(self, connection: socket.socket) -> Member:
        return self._members[connection.getsockname()[0]]
