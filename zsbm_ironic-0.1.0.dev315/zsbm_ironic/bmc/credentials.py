# SPDX-License-Identifier: Apache-2.0
"""How to reach one BMC, read from a node's driver_info and checked strictly.

Reads our `bmc_*` keys and, where a node came from one of upstream's types,
`redfish_*` or `ipmi_*`. Called by the drivers inside API calls, so the BMC is
never contacted here. Values come from whoever may edit the node: each one is
checked for type, length and characters before anything uses it.
"""

import dataclasses
import ipaddress
import os
import re
from collections.abc import Mapping
from typing import Any, Self
from urllib import parse

from zsbm_ironic.bmc import base
from zsbm_ironic.common import exception

BMC_KEYS = {
    'bmc_address': 'IP address or host name of the BMC. Required.',
    'bmc_username': 'User with administrator rights on the BMC. Required.',
    'bmc_password': 'Password of that user. Required.',
    'bmc_port': (
        'Port of the BMC: TCP for Redfish (default 443), UDP for IPMI '
        '(default 623).'
    ),
    'bmc_protocol': (
        'auto (the default: detected at manage, then kept), redfish or ipmi.'
    ),
    'bmc_verify_ca': (
        'Path of a CA file or directory that signed the Redfish '
        'certificate; true for the CAs of the host; false verifies nothing '
        'and lets anyone in between read the password.'
    ),
    'bmc_cert_fingerprint': (
        'sha256:<64 hex digits> of the one certificate to trust, whatever '
        'name it carries: for self-signed factory certificates.'
    ),
}
REDFISH_PORT = 443
IPMI_PORT = 623
# IPMI v2.0 section 13.28.4 and table 22-30: 16 bytes of user, 20 of password.
IPMI_USERNAME_BYTES = 16
IPMI_PASSWORD_BYTES = 20
TEXT_CHARS = 255
PRIVILEGES = {'CALLBACK': 1, 'USER': 2, 'OPERATOR': 3, 'ADMINISTRATOR': 4}
CIPHER_SUITES = (3, 17)

_LABEL = r'[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
_HOSTNAME = re.compile(rf'(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?\Z')
_FINGERPRINT = re.compile(
    r'(?i)sha-?256[:=]((?:[0-9a-f]{2}:?){31}[0-9a-f]{2})\Z'
)
_TRUE = frozenset({'true', 'yes', 'on', '1', 't', 'y'})
_FALSE = frozenset({'false', 'no', 'off', '0', 'f', 'n'})


@dataclasses.dataclass(frozen=True)
class Trust:
    """What makes a Redfish certificate acceptable.

    :ivar fingerprint: 64 hex digits; then nothing else counts.
    :ivar ca_path: CA file or directory; None is the CAs of the host.
    :ivar verify: False accepts anything.
    """

    fingerprint: str | None = None
    ca_path: str | None = None
    verify: bool = True


@dataclasses.dataclass(frozen=True)
class RedfishSettings:
    """Redfish beyond address, user and password."""

    port: int = REDFISH_PORT
    scheme: str = 'https'
    root_prefix: str = '/redfish/v1/'
    system_id: str | None = None
    auth_type: str = 'auto'


@dataclasses.dataclass(frozen=True)
class IpmiSettings:
    """IPMI beyond address, user and password.

    :ivar console_port: where a Redfish BMC has its serial console.
    :ivar kg: the BMC's key, or None for the user's password.
    :ivar cipher_suite: 3 or 17; None takes the best that the BMC accepts.
    """

    port: int = IPMI_PORT
    console_port: int = IPMI_PORT
    kg: bytes | None = dataclasses.field(default=None, repr=False)
    privilege: int = PRIVILEGES['ADMINISTRATOR']
    privilege_set: bool = False
    cipher_suite: int | None = None


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Everything that is needed to log in to one BMC.

    :ivar source: prefix of the keys that gave it, for messages.
    """

    address: str
    username: str
    password: str = dataclasses.field(repr=False)
    protocol: base.BmcProtocol
    trust: Trust
    redfish: RedfishSettings
    ipmi: IpmiSettings
    source: str = 'bmc'

    @classmethod
    def from_driver_info(
        cls, driver_info: Mapping[str, Any], *, default_verify_ca: str = 'True'
    ) -> Self:
        """Read and check a node's keys; never contacts the BMC.

        :param default_verify_ca: [zsbm]verify_ca, for nodes with neither
            bmc_verify_ca nor bmc_cert_fingerprint.
        :raises BmcSettingMissing: a needed key is not there.
        :raises BmcSettingInvalid: a value cannot be used.
        """
        reader = _Reader(driver_info, default_verify_ca)
        reader.refuse_what_we_cannot_do()
        address, redfish = reader.redfish()
        credentials = cls(
            address=address,
            username=reader.text('username'),
            password=reader.text('password'),
            protocol=reader.protocol(),
            trust=reader.trust(),
            redfish=redfish,
            ipmi=reader.ipmi(),
            source=reader.source,
        )
        return credentials.chosen(credentials.protocol)

    def chosen(self, protocol: base.BmcProtocol) -> Self:
        """Return these credentials with the protocol decided.

        :raises BmcSettingInvalid: user or password too long for IPMI.
        """
        if protocol is base.BmcProtocol.IPMI:
            _check_ipmi_lengths(self)
        return dataclasses.replace(self, protocol=protocol)


def _check_ipmi_lengths(credentials: Credentials) -> None:
    for word, limit in (
        ('username', IPMI_USERNAME_BYTES),
        ('password', IPMI_PASSWORD_BYTES),
    ):
        if len(getattr(credentials, word).encode()) > limit:
            raise exception.BmcSettingInvalid(
                key=f'{credentials.source}_{word}',
                reason=f'IPMI allows no more than {limit} bytes.',
            )


class _Reader:
    """Turns one driver_info into the fields of Credentials."""

    def __init__(
        self, info: Mapping[str, Any], default_verify_ca: str
    ) -> None:
        self.info = info
        self.default_verify_ca = default_verify_ca
        for prefix in ('bmc', 'redfish', 'ipmi'):
            if info.get(f'{prefix}_address') not in (None, ''):
                self.source = prefix
                break
        else:
            raise exception.BmcSettingMissing(
                key='bmc_address',
                reason='set it to the address or host name of the BMC.',
            )

    def refuse_what_we_cannot_do(self) -> None:
        """Refuse misspelt keys and what only ipmitool can do."""
        for key in self.info:
            if key.startswith('bmc_') and key not in BMC_KEYS:
                raise exception.BmcSettingInvalid(
                    key=key[:80],
                    reason=f'there is no such key; {", ".join(BMC_KEYS)} are.',
                )
        bridging = self.info.get('ipmi_bridging', 'no')
        version = str(self.info.get('ipmi_protocol_version', '2.0'))
        for key, value, usual in (
            ('ipmi_bridging', bridging, 'no'),
            ('ipmi_protocol_version', version, '2.0'),
        ):
            if value != usual:
                raise exception.BmcSettingInvalid(
                    key=key,
                    reason=(
                        f'{_shown(value)} is not supported by the hardware '
                        'type zsbm: keep type ipmi for this node.'
                    ),
                )

    def protocol(self) -> base.BmcProtocol:
        if self.source != 'bmc':
            return base.BmcProtocol(self.source)
        value = self.info.get('bmc_protocol') or 'auto'
        if value == 'profile':
            raise exception.BmcSettingInvalid(
                key='bmc_protocol',
                reason=(
                    'device profiles do not exist yet in this release; use '
                    'auto, redfish or ipmi.'
                ),
            )
        try:
            return base.BmcProtocol(value)
        except ValueError as exc:
            raise exception.BmcSettingInvalid(
                key='bmc_protocol',
                reason=f'{_shown(value)} is not auto, redfish or ipmi.',
            ) from exc

    def redfish(self) -> tuple[str, RedfishSettings]:
        """Return the address of the BMC and how Redfish is reached on it."""
        key = f'{self.source}_address'
        auth_type = self.info.get('redfish_auth_type') or 'auto'
        if auth_type not in ('auto', 'basic', 'session'):
            raise exception.BmcSettingInvalid(
                key='redfish_auth_type',
                reason=f'{_shown(auth_type)} is not auto, basic or session.',
            )
        system_id = self.info.get('redfish_system_id')
        if system_id is not None:
            system_id = _checked_text('redfish_system_id', system_id)
        if self.source != 'redfish':
            address = _checked_host(key, self.info[key])
            return address, RedfishSettings(
                port=self._port('bmc_port', REDFISH_PORT),
                system_id=system_id,
                auth_type=auth_type,
            )
        url = _checked_text(key, self.info[key])
        parts = parse.urlsplit(url if '//' in url else f'https://{url}')
        try:
            port = parts.port or (443 if parts.scheme == 'https' else 80)
        except ValueError:
            port = 0
        if parts.scheme not in ('http', 'https') or not port:
            raise exception.BmcSettingInvalid(
                key=key, reason=f'{_shown(url)} is not an http or https URL.'
            )
        return _checked_host(key, parts.hostname or ''), RedfishSettings(
            port=port,
            scheme=parts.scheme,
            root_prefix=parts.path.rstrip('/') + '/'
            if parts.path.strip('/')
            else '/redfish/v1/',
            system_id=system_id,
            auth_type=auth_type,
        )

    def ipmi(self) -> IpmiSettings:
        kg = self.info.get('ipmi_hex_kg_key')
        if kg:
            try:
                kg = bytes.fromhex(kg)
            except (TypeError, ValueError) as exc:
                raise exception.BmcSettingInvalid(
                    key='ipmi_hex_kg_key', reason='it is not hexadecimal.'
                ) from exc
        level = self.info.get('ipmi_priv_level', 'ADMINISTRATOR')
        if level not in PRIVILEGES:
            raise exception.BmcSettingInvalid(
                key='ipmi_priv_level',
                reason=f'{_shown(level)} is not one of '
                f'{", ".join(PRIVILEGES)}.',
            )
        suite = self.info.get('ipmi_cipher_suite')
        if suite is not None and str(suite) not in map(str, CIPHER_SUITES):
            raise exception.BmcSettingInvalid(
                key='ipmi_cipher_suite',
                reason=(
                    f'{_shown(suite)} is not 3 or 17: keep type ipmi for '
                    'this node.'
                ),
            )
        ours = self.source == 'bmc' and self.info.get('bmc_port')
        return IpmiSettings(
            port=self._port('bmc_port' if ours else 'ipmi_port', IPMI_PORT),
            console_port=self._port('ipmi_port', IPMI_PORT),
            kg=kg or None,
            privilege=PRIVILEGES[level],
            privilege_set='ipmi_priv_level' in self.info,
            cipher_suite=None if suite is None else int(suite),
        )

    def _port(self, key: str, default: int) -> int:
        value = self.info.get(key)
        if value in (None, ''):
            return default
        if not isinstance(value, bool) and re.fullmatch(
            r'[0-9]{1,5}', str(value)
        ):
            port = int(value)
            if 0 < port < 65536:
                return port
        raise exception.BmcSettingInvalid(
            key=key,
            reason=f'{_shown(value)} is not a port number from 1 to 65535.',
        )

    def text(self, word: str) -> str:
        """Return user or password; upstream's types allow neither."""
        key = f'{self.source}_{word}'
        value = self.info.get(key)
        if value is None or value == '':
            if self.source != 'bmc':
                return ''
            raise exception.BmcSettingMissing(
                key=key, reason=BMC_KEYS[key].removesuffix(' Required.')
            )
        return _checked_text(key, value)

    def trust(self) -> Trust:
        pin = self.info.get('bmc_cert_fingerprint')
        key = (
            'redfish_verify_ca'
            if self.source == 'redfish'
            else ('bmc_verify_ca')
        )
        value = self.info.get(key)
        if pin is not None:
            if self.info.get('bmc_verify_ca') is not None:
                raise exception.BmcSettingInvalid(
                    key='bmc_cert_fingerprint',
                    reason='remove bmc_verify_ca, or this: only one counts.',
                )
            match = _FINGERPRINT.match(pin) if isinstance(pin, str) else None
            if not match:
                raise exception.BmcSettingInvalid(
                    key='bmc_cert_fingerprint',
                    reason=f'{_shown(pin)} is not sha256:<64 hex digits>.',
                )
            return Trust(fingerprint=match[1].replace(':', '').lower())
        if value is None or value is True:
            key, value = '[zsbm]verify_ca', self.default_verify_ca
        return _trust_from(key, value)


def _trust_from(key: str, value: object) -> Trust:
    if isinstance(value, bool):
        return Trust(verify=value)
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return Trust(verify=value.lower() in _TRUE)
    if isinstance(value, str) and '\0' not in value and os.path.exists(value):
        return Trust(ca_path=value)
    raise exception.BmcSettingInvalid(
        key=key,
        reason=(
            f'{_shown(value)} is neither true, false nor a CA file or '
            'directory on this conductor.'
        ),
    )


def _checked_host(key: str, value: object) -> str:
    text = _checked_text(key, value).removeprefix('[').removesuffix(']')
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as exc:
        # All digits and dots, yet no address: 300.1.1.1 is not a name.
        if _HOSTNAME.match(text) and not re.fullmatch(r'[0-9.]+', text):
            return text
        raise exception.BmcSettingInvalid(
            key=key,
            reason=(
                f'{_shown(value)} is neither an IP address nor a host name; '
                'give the port in bmc_port.'
            ),
        ) from exc


def _checked_text(key: str, value: object) -> str:
    """Return a text of printable characters; a number is its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        # The command line reads 1234 as JSON, so as a number.
        value = str(value)
    if not isinstance(value, str):
        raise exception.BmcSettingInvalid(
            key=key,
            reason='it is not a text; put it in double quotes: \'"..."\'.',
        )
    if not value.isprintable() or len(value) > TEXT_CHARS:
        raise exception.BmcSettingInvalid(
            key=key,
            reason=(
                'it has characters that cannot be printed, or more than '
                f'{TEXT_CHARS}.'
            ),
        )
    return value


def _shown(value: object) -> str:
    """Return a hostile value, made harmless for a message."""
    return ascii(str(value)[:80])
