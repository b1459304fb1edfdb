# SPDX-License-Identifier: Apache-2.0
"""A BMC over Redfish, by sushy: what is read often, quickly.

Power state, sensors, health and identity on one kept connection with a shared
TLS context. Writes and rare reads stay with upstream's Redfish interfaces,
which hold years of vendor fixes: the drivers delegate to them. Made by
`bmc.pool`; holds one session of the BMC, or none where it takes basic
authentication, until `close`.
"""

import http
import math
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import sushy
from oslo_log import log
from requests import utils as requests_utils
from sushy import auth as sushy_auth
from sushy import connector as sushy_connector
from sushy import exceptions as sushy_exc

from zsbm_ironic.bmc import base, events, trust
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

LOG = log.getLogger(__name__)
T = TypeVar('T')

CONNECT_S = 5.0
READ_S = 15.0
# One question, or all sensors together.
INQUIRY_S = 30.0
# How old the page may be by which what hangs on the system is found.
PAGE_S = 10.0
# How old what it tells of the system's health may be: who watches the power
# reads it every 30 s.
HEALTH_S = 35.0

_AUTH = {
    'auto': sushy_auth.SessionOrBasicAuth,
    'basic': sushy_auth.BasicAuth,
    'session': sushy_auth.SessionAuth,
}
# DSP2046 PowerState; the transitional ones as Ironic reads them.
_POWER = {
    'On': base.PowerState.ON,
    'PoweringOn': base.PowerState.ON,
    'Off': base.PowerState.OFF,
    'PoweringOff': base.PowerState.OFF,
}
_HEALTH = {
    'ok': base.Health.OK,
    'warning': base.Health.WARNING,
    'critical': base.Health.CRITICAL,
}
# What a log can have.
_COUNTS = range(1 << 31)
_PATH = re.compile(r'/redfish/[!-~]{1,512}')
# LogService.v1_1_0 LogEntryType.
_EVENT_LOGS = frozenset({'Event', 'SEL', 'Multiple'})
_BOOT = {
    sushy.BOOT_SOURCE_TARGET_PXE: base.BootDevice.PXE,
    sushy.BOOT_SOURCE_TARGET_HDD: base.BootDevice.DISK,
    sushy.BOOT_SOURCE_TARGET_CD: base.BootDevice.CDROM,
    sushy.BOOT_SOURCE_TARGET_BIOS_SETUP: base.BootDevice.BIOS,
}


def connector(
    credentials: bmc_credentials.Credentials, **settings: Any
) -> sushy_connector.Connector:
    """Return a transport to one BMC that trusts only its certificate."""
    redfish = credentials.redfish
    host = credentials.address
    if ':' in host:
        host = f'[{host}]'
    url = f'{redfish.scheme}://{host}:{redfish.port}'
    made = sushy_connector.Connector(
        url,
        # The adapter below decides; False here would silence nothing.
        verify=True,
        **settings,
    )
    mount(made, credentials.trust)
    # Once, not at each question: it takes a fourth of its time.
    made._session.proxies.update(requests_utils.get_environ_proxies(url))
    made._session.trust_env = False
    return made


def mount(
    made: sushy_connector.Connector, policy: bmc_credentials.Trust
) -> None:
    """Make a sushy connector trust as `policy` says."""
    made._session.mount('https://', trust.Adapter(policy))


# Sessions that could not be ended, by URL: the BMC was silent, or showed
# another certificate. Its slots are few, so whoever logs in next ends them.
_left_open: dict[str, set[str]] = {}


def end_session(
    made: sushy_connector.Connector, path: str, username: str
) -> None:
    """End a session that another connection of ours left open.

    A BMC that was started anew may have given its number to somebody else.

    :param made: logged in to the same BMC.
    :param username: whose session it has to be.
    """
    try:
        if made.get(path).json().get('UserName') == username:
            made.delete(path)
    except (sushy_exc.SushyError, ValueError) as exc:
        LOG.debug('Session %s is not ended: %s', path, exc)


def session_of(root: sushy.Sushy) -> str | None:
    """Return the path of the session that a client holds, if any."""
    if isinstance(root._auth, sushy_auth.SessionAuth):
        path: str | None = root._auth.get_session_resource_id()
        return path
    return None


class RedfishBmc:
    """One logged-in BMC and its one computer system."""

    protocol = base.BmcProtocol.REDFISH

    def __init__(self, credentials: bmc_credentials.Credentials) -> None:
        """Verify the certificate, then log in.

        :raises BmcUnreachable: no answer in time.
        :raises BmcCertificateUntrusted: see `trust.check`.
        :raises BmcCertificateChanged: see `trust.check`.
        :raises BmcCredentialsRefused: user or password is wrong.
        :raises BmcSettingMissing: several systems, none chosen.
        """
        self.credentials = credentials
        self.address = credentials.address
        self._root: Any = None
        self._page_read: dict[str, Any] = {}
        self._page_understood: dict[str, Any] | None = None
        self._read_at = -math.inf
        self._logs: tuple[str, ...] | None = None
        self._events: str | None = None
        self.certificate: trust.Certificate | None = None
        self._check_certificate()
        self._connector = connector(
            credentials,
            server_side_retries=1,
            default_request_timeout=READ_S,
            connect_timeout=CONNECT_S,
        )
        self._connector._session.headers['Connection'] = 'keep-alive'
        try:
            self._root = self._ask('log in', self._log_in)
            self._system = self._ask('find its system', self._find_system)
            # Not before: sushy's basic authentication is believed unasked, and
            # each request with a wrong password may lock the account.
            for path in _left_open.pop(self._connector._url, ()):
                end_session(self._connector, path, credentials.username)
        except BaseException:
            self.close()
            raise

    def _check_certificate(self) -> None:
        redfish = self.credentials.redfish
        if redfish.scheme == 'https':
            self.certificate = trust.check(
                self.address, redfish.port, self.credentials.trust
            )

    def _log_in(self) -> Any:
        made = _AUTH[self.credentials.redfish.auth_type](
            username=self.credentials.username,
            password=self.credentials.password,
        )
        return sushy.Sushy(
            self._connector._url,
            root_prefix=self.credentials.redfish.root_prefix,
            auth=made,
            connector=self._connector,
        )

    def _find_system(self) -> Any:
        chosen = self.credentials.redfish.system_id
        if chosen is None:
            paths = self._root.get_system_collection().members_identities
            if len(paths) != 1:
                raise exception.BmcSettingMissing(
                    key='redfish_system_id',
                    reason=(
                        f'this BMC manages {len(paths)} systems: set it to '
                        f'one of {", ".join(map(ascii, paths[:8]))}.'
                    ),
                )
            chosen = paths[0]
        return self._root.get_system(chosen)

    @property
    def system_id(self) -> str:
        """Path of the computer system, as redfish_system_id wants it."""
        return str(self._system.path)

    def _ask(self, what: str, ask: Callable[[], T]) -> T:
        try:
            with trust.within(INQUIRY_S):
                return ask()
        except sushy_exc.AccessError as exc:
            if exc.status_code == http.HTTPStatus.FORBIDDEN:
                raise exception.BmcUnsupported(
                    address=self.address,
                    what=what,
                    answer=f'user {self.credentials.username} may not',
                ) from exc
            source = self.credentials.source
            raise exception.BmcCredentialsRefused(
                address=self.address,
                username=self.credentials.username,
                answer=f'HTTP {exc.status_code}',
                keys=f'{source}_username and {source}_password',
            ) from exc
        except sushy_exc.ConnectionError as exc:
            # A certificate that changed in between has an error of its own.
            self._check_certificate()
            raise exception.BmcUnreachable(
                address=self.address,
                what=f'Redfish on TCP port {self.credentials.redfish.port}',
                timeout_s=round(READ_S),
                key=f'{self.credentials.source}_address',
            ) from exc
        except sushy_exc.ResourceNotFoundError as exc:
            raise exception.BmcUnsupported(
                address=self.address, what=what, answer=str(exc)
            ) from exc
        except sushy_exc.SushyError as exc:
            status = getattr(exc, 'status_code', 0)
            if status in (429, 503):
                raise exception.BmcBusy(
                    address=self.address, answer=f'HTTP {status}'
                ) from exc
            raise exception.BmcCommandFailed(
                address=self.address, what=what, answer=str(exc)
            ) from exc
        except (ValueError, TypeError, AttributeError, LookupError) as exc:
            # sushy's, of a page that is not as Redfish has it.
            raise exception.BmcCommandFailed(
                address=self.address,
                what=what,
                answer=f'no valid Redfish: {ascii(str(exc)[:80])}',
            ) from exc

    def _read_page(self) -> dict[str, Any]:
        """Read the page of the system now, as the BMC tells it.

        sushy's own reading makes an object of each field of it, and where it
        is forced reads all again that hangs on the system: each look at the
        power would be one at every fan.
        """
        page = self._connector.get(self._system.path).json()
        if not isinstance(page, dict):
            raise ValueError('the system is no object')
        self._page_read, self._read_at = page, time.monotonic()
        return page

    def _young_page(self, age_s: float = PAGE_S) -> dict[str, Any]:
        if time.monotonic() - self._read_at > age_s:
            return self._read_page()
        return self._page_read

    def _understood(self, page: dict[str, Any]) -> Any:
        """Return sushy's System of a page; what hangs on it is read anew."""
        if page is not self._page_understood:
            self._system.invalidate()
            self._system.refresh(force=False, json_doc=page)
            self._page_understood = page
        return self._system

    def read(self, what: str, ask: Callable[[Any], T]) -> T:
        """Ask sushy's System, which was read PAGE_S ago at most."""
        return self._ask(
            what, lambda: ask(self._understood(self._young_page()))
        )

    def get_power(self) -> base.PowerState:
        """Return PowerState of the system, read now."""
        found = self._ask(
            'power state', lambda: str(self._read_page().get('PowerState'))
        )
        if found not in _POWER:
            raise exception.BmcCommandFailed(
                address=self.address,
                what='power state',
                answer=f'{ascii(found[:80])} is neither on nor off',
            )
        return _POWER[found]

    def get_boot_device(self) -> base.BootSetting:
        """Return the boot source override."""
        boot = self._ask(
            'boot device',
            lambda: dict(self._understood(self._read_page()).boot or {}),
        )
        enabled = boot.get('enabled')
        if enabled in (None, sushy.BOOT_SOURCE_ENABLED_DISABLED):
            return base.BootSetting(None, None)
        mode = boot.get('mode')
        return base.BootSetting(
            _BOOT.get(boot.get('target')),
            enabled == sushy.BOOT_SOURCE_ENABLED_CONTINUOUS,
            None if mode is None else mode == sushy.BOOT_SOURCE_MODE_UEFI,
        )

    def sensors(self) -> tuple[base.SensorReading, ...]:
        """Read fans, temperatures and power supplies of each chassis."""
        readings: list[base.SensorReading] = []
        with trust.within(INQUIRY_S):
            found = self._optional(
                lambda: self._understood(self._young_page()).chassis
            )
            for chassis in found or ():
                for page in (_thermal_of, _power_of):
                    readings += (
                        self._optional(lambda p=page, c=chassis: p(c)) or ()  # type: ignore[misc]
                    )
        return tuple(readings)

    def _optional(self, ask: Callable[[], T]) -> T | None:
        """Read what a BMC need not have; None where it has not."""
        try:
            return self._ask('an optional resource', ask)
        except exception.GiveUp as exc:
            LOG.debug('%s', exc)
            return None

    def health(self) -> base.Health:
        """Return HealthRollup of the system, or Health where there is none.

        Who asks has mostly asked for the power before, which the same page
        tells.
        """
        status = self._ask(
            'health', lambda: self._young_page(HEALTH_S).get('Status')
        )
        told = status if isinstance(status, dict) else {}
        for key in ('HealthRollup', 'Health'):
            if told.get(key) is not None:
                return _health(told[key])
        return base.Health.UNKNOWN

    def logged_events(self) -> int | None:
        """Count the entries of the system's event logs.

        Asked only of a BMC that can return a part of a log: a whole one is
        read entry by entry from its flash, which takes some a minute.
        """
        if self._logs is None:
            self._logs = self._find_logs()
        counts = [
            self._page(f'{path}?$top=1').get('Members@odata.count')
            for path in self._logs
        ]
        found = [one for one in counts if type(one) is int and one in _COUNTS]
        return sum(found) if found else None

    def _find_logs(self) -> tuple[str, ...]:
        """Return the paths of the entries of event logs."""
        features = self._root.json.get('ProtocolFeaturesSupported') or {}
        if not features.get('TopSkipQuery'):
            return ()
        logs = self._page(_link(self._system.json, 'LogServices'))
        services = [
            self._page(_link(one)) for one in logs.get('Members') or ()
        ]
        entries = (
            _link(one, 'Entries')
            for one in services
            if one.get('LogEntryType', 'Event') in _EVENT_LOGS
        )
        return tuple(path for path in entries if path)

    def event_stream(self) -> events.Stream | None:
        """Return where events are read; None where it sends none."""
        if self._events is None:
            service = self._page(_link(self._root.json, 'EventService'))
            found = _local(service.get('ServerSentEventUri'))
            if service.get('ServiceEnabled') is False:
                found = None
            self._events = found or ''
        if not self._events:
            return None
        # A session ends where polls are rare; a password does not.
        token = None
        if self.credentials.redfish.auth_type == 'session':
            token = self._root._auth.get_session_key()
        return events.Stream(self.credentials, self._events, token)

    def _page(self, path: str | None) -> dict[str, Any]:
        """Return a resource as it is; {} where the BMC has it not."""
        if path is None:
            return {}
        answer = self._optional(lambda: self._connector.get(path))
        try:
            found = answer.json() if answer is not None else None
        except ValueError as exc:
            LOG.debug('BMC %s: %s is no JSON: %s', self.address, path, exc)
            return {}
        return found if isinstance(found, dict) else {}

    def vendor(self) -> base.VendorInfo:
        """Return the identity that the system resource gives."""
        managers: Iterable[Any] = (
            self._optional(lambda: self._system.managers) or ()
        )
        firmware = next((m.firmware_version for m in managers), None)
        system = self._system
        return base.VendorInfo(
            manufacturer=system.manufacturer,
            model=system.json.get('Model'),
            serial=system.json.get('SerialNumber'),
            bmc_firmware=firmware,
        )

    def macs(self) -> tuple[str, ...]:
        """Return MAC addresses of the system's Ethernet interfaces."""
        summary = self._optional(
            lambda: self._system.ethernet_interfaces.summary
        )
        return tuple(sorted(mac.lower() for mac in summary or {} if mac))

    def secure_boot(self) -> bool | None:
        """Return whether Secure Boot is on; None where it cannot tell."""
        found = self._optional(lambda: self._system.secure_boot.enabled)
        return None if found is None else bool(found)

    def close(self) -> None:
        """Log out; safe to call twice and on a dead BMC."""
        root, self._root = self._root, None
        if root is not None:
            path = session_of(root)
            try:
                root._auth.close()
            except Exception as exc:
                LOG.debug('BMC %s: log-out failed: %s', self.address, exc)
                if path:
                    url = self._connector._url
                    _left_open.setdefault(url, set()).add(path)
            root._auth = None
        self._connector.close()


def _link(page: Any, key: str | None = None) -> str | None:
    """Return where a page points to, by a key of it or by itself."""
    found = page.get(key) if key and isinstance(page, dict) else page
    path = found.get('@odata.id') if isinstance(found, dict) else None
    return _local(path)


def _local(path: Any) -> str | None:
    """Return a path on the BMC itself; None for anything else.

    The token of the session goes with each question.
    """
    if isinstance(path, str) and _PATH.fullmatch(path):
        return path
    return None


def _health(found: object) -> base.Health:
    word = str(getattr(found, 'value', found) or '').lower()
    return _HEALTH.get(word, base.Health.UNKNOWN)


def _status(part: Any) -> base.Health:
    return _health(part.status.health if part.status else None)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _thermal_of(chassis: Any) -> list[base.SensorReading]:
    page = chassis.thermal
    return [
        *map(_temperature, page.temperatures or ()),
        *map(_fan, page.fans or ()),
    ]


def _power_of(chassis: Any) -> list[base.SensorReading]:
    return [*map(_supply, chassis.power.power_supplies or ())]


def _temperature(part: Any) -> base.SensorReading:
    value = _number(part.reading_celsius)
    return base.SensorReading(
        part.name, 'Temperature', value, 'C', _status(part)
    )


def _fan(part: Any) -> base.SensorReading:
    unit = str(getattr(part.reading_units, 'value', part.reading_units))
    return base.SensorReading(
        part.name or part.identity,
        'Fan',
        _number(part.reading),
        '%' if unit.lower() == 'percent' else 'RPM',
        _status(part),
    )


def _supply(part: Any) -> base.SensorReading:
    return base.SensorReading(
        part.name,
        'Power Supply',
        _number(part.last_power_output_watts),
        'W',
        _status(part),
    )
