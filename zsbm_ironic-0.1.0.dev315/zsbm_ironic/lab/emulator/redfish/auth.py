# SPDX-License-Identifier: Apache-2.0
"""Who may ask: basic authentication and the Redfish session service.

sushy-tools has basic authentication from a file only. Sessions follow DSP0266
section 13.3: POST to the sessions collection, then the X-Auth-Token header.
"""

import base64
import binascii
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flask

from zsbm_ironic.lab.emulator import faults as faults_room

#: Open to anyone (DSP0266, 13.3.1): the version object and the root.
_PUBLIC = frozenset(('', 'redfish', 'redfish/v1', 'redfish/v1/odata'))

_SERVICE = '/redfish/v1/SessionService'
SESSIONS = f'{_SERVICE}/Sessions'

#: A full table refuses further logins, as BMCs do.
MAX_SESSIONS = 16
_IDLE_S = 30 * 60

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Gate:
    """Lets a request through to the application, or answers 401."""

    def __init__(
        self,
        application: Application,
        username: str,
        password: str,
        faults: faults_room.Faults,
    ) -> None:
        self._application = application
        self._username = username
        self._password = password
        self._faults = faults
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[str, float]] = {}

    def __call__(
        self, environ: Environ, start_response: StartResponse
    ) -> Iterable[bytes]:
        path = str(environ.get('PATH_INFO', '')).strip('/')
        if path in _PUBLIC or self._is_login(environ, path):
            return self._application(environ, start_response)
        if not self._is_known(environ):
            start_response(
                '401 Unauthorized',
                [
                    ('Content-Type', 'application/json'),
                    ('WWW-Authenticate', 'Basic realm="BMC"'),
                ],
            )
            return [
                b'{"error": {"code": "Base.1.0.NoValidSession", "message": '
                b'"There is no valid session established."}}'
            ]
        return self._application(environ, start_response)

    @property
    def username(self) -> str:
        """The only user that can log in."""
        return self._username

    @property
    def session_count(self) -> int:
        """How many sessions are open."""
        with self._lock:
            return len(self._sessions)

    def ids(self) -> list[str]:
        """Return the ids of the open sessions."""
        with self._lock:
            return [number for number, _ in self._sessions.values()]

    def open(self, username: str, password: str) -> tuple[str, str] | None:
        """Log in; return (id, token), None for the wrong password.

        :raises OverflowError: there is no free slot.
        """
        if not self._is_right(username, password):
            return None
        now = time.monotonic()
        with self._lock:
            self._sessions = {
                token: (number, seen)
                for token, (number, seen) in self._sessions.items()
                if now - seen < _IDLE_S
            }
            if len(self._sessions) >= MAX_SESSIONS:
                raise OverflowError
            token, number = secrets.token_hex(16), secrets.token_hex(4)
            self._sessions[token] = (number, now)
        return number, token

    def close(self, number: str) -> bool:
        """Log out; False when there is no such session."""
        with self._lock:
            for token, (known, _) in self._sessions.items():
                if known == number:
                    del self._sessions[token]
                    return True
        return False

    def forget(self) -> None:
        """Drop all sessions, as a restart does."""
        with self._lock:
            self._sessions.clear()

    @staticmethod
    def _is_login(environ: Environ, path: str) -> bool:
        return environ['REQUEST_METHOD'] == 'POST' and path in (
            SESSIONS.strip('/'),
            f'{SESSIONS.strip("/")}/Members',
        )

    def _is_known(self, environ: Environ) -> bool:
        token = environ.get('HTTP_X_AUTH_TOKEN')
        if token is not None:
            with self._lock:
                if token not in self._sessions:
                    return False
                self._sessions[token] = (
                    self._sessions[token][0],
                    time.monotonic(),
                )
            return True
        kind, _, encoded = environ.get('HTTP_AUTHORIZATION', '').partition(' ')
        if kind.lower() != 'basic':
            return False
        try:
            pair = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        username, _, password = pair.partition(':')
        return self._is_right(username, password)

    def _is_right(self, username: str, password: str) -> bool:
        return (
            not self._faults.wrong_password
            and username == self._username
            and hmac.compare_digest(password.encode(), self._password.encode())
        )


def routes(gate: Gate) -> flask.Blueprint:
    """Return the session service of a gate."""
    blueprint = flask.Blueprint('session_service', __name__)

    @blueprint.get(_SERVICE)
    def service() -> Mapping[str, Any]:
        return {
            '@odata.id': _SERVICE,
            '@odata.type': '#SessionService.v1_1_8.SessionService',
            'Id': 'SessionService',
            'Name': 'Session Service',
            'ServiceEnabled': True,
            'SessionTimeout': _IDLE_S,
            'Sessions': {'@odata.id': SESSIONS},
        }

    @blueprint.get(SESSIONS)
    def collection() -> Mapping[str, Any]:
        members = [{'@odata.id': f'{SESSIONS}/{one}'} for one in gate.ids()]
        return {
            '@odata.id': SESSIONS,
            '@odata.type': '#SessionCollection.SessionCollection',
            'Name': 'Session Collection',
            'Members': members,
            'Members@odata.count': len(members),
        }

    @blueprint.post(SESSIONS)
    def login() -> Any:
        body = flask.request.get_json(silent=True) or {}
        try:
            made = gate.open(
                str(body.get('UserName')), str(body.get('Password'))
            )
        except OverflowError:
            return _failure('SessionLimitExceeded', 503)
        if made is None:
            return _failure('NoValidSession', 401)
        number, token = made
        return (
            _session(number, gate.username),
            201,
            {
                'X-Auth-Token': token,
                'Location': f'{SESSIONS}/{number}',
            },
        )

    @blueprint.get(f'{SESSIONS}/<number>')
    def session(number: str) -> Any:
        if number not in gate.ids():
            return _failure('ResourceMissingAtURI', 404)
        return _session(number, gate.username)

    @blueprint.delete(f'{SESSIONS}/<number>')
    def logout(number: str) -> Any:
        if not gate.close(number):
            return _failure('ResourceMissingAtURI', 404)
        return '', 204

    return blueprint


def _session(number: str, username: str) -> dict[str, Any]:
    return {
        '@odata.id': f'{SESSIONS}/{number}',
        '@odata.type': '#Session.v1_3_0.Session',
        'Id': number,
        'Name': 'User Session',
        'UserName': username,
    }


def _failure(code: str, status: int) -> tuple[dict[str, Any], int]:
    return {'error': {'code': f'Base.1.0.{code}', 'message': code}}, status
