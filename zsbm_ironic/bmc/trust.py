# SPDX-License-Identifier: Apache-2.0
"""Which certificate a BMC may show before it is given a password.

Factory certificates are self-signed and carry a name that is not the BMC's
address, so the usual check cannot work: no CA file makes the host name match.
What can be checked is that it is the very certificate that a person has seen:
its SHA-256 fingerprint, compared after the TLS handshake and before the first
byte of HTTP. `Adapter` does that for any `requests` session, sushy's too.

Called by `detect`, `redfish` and, through `common.ironic_compat`, on behalf of
upstream's Redfish interfaces, for which a pinned certificate is kept as a file
(`PinStore`). TLS contexts are shared by all BMCs of the process: each one that
holds the CA bundle costs 44 ms and 0.85 MB.
"""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import requests.adapters
from cryptography import x509

from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception, whole_file

HANDSHAKE_S = 10.0
# Of one answer; a registry of messages has some 2 MB.
LIMIT_BYTES = 32 << 20


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What a server showed; nothing of it is verified.

    :ivar subject: printable text, at most 200 characters.
    :ivar fingerprint: SHA-256 of the DER form, 64 hex digits.
    """

    subject: str
    fingerprint: str
    pem: str

    @classmethod
    def from_der(cls, der: bytes) -> 'Certificate':
        """Describe a certificate, a malformed one too."""
        try:
            subject = x509.load_der_x509_certificate(
                der
            ).subject.rfc4514_string()
        except ValueError:
            subject = 'cannot be parsed'
        clean = ''.join(c if c.isprintable() else '?' for c in subject)
        return cls(
            clean[:200] or 'empty',
            hashlib.sha256(der).hexdigest(),
            ssl.DER_cert_to_PEM_cert(der),
        )


def context(trust: bmc_credentials.Trust) -> ssl.SSLContext:
    """Return the shared TLS context for a kind of trust.

    :raises BmcSettingInvalid: the CA file cannot be read.
    """
    path = trust.ca_path if trust.verify and not trust.fingerprint else None
    try:
        changed = os.stat(path).st_mtime_ns if path else 0
        return _context(path, trust.verify and not trust.fingerprint, changed)
    except OSError as exc:
        raise exception.BmcSettingInvalid(
            key='bmc_verify_ca',
            reason=f'{path} cannot be used as a CA file: {exc}.',
        ) from exc


@functools.lru_cache(maxsize=64)
def _context(
    ca_path: str | None, verify: bool, _changed: int
) -> ssl.SSLContext:
    if not verify:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        where = pathlib.Path(ca_path) if ca_path else None
        if where and where.is_dir():
            made = ssl.create_default_context(capath=str(where))
        else:
            made = ssl.create_default_context(cafile=ca_path)
    made.sslsocket_class = _LimitedSocket
    return made


def certificate_of(
    address: str, port: int, timeout_s: float = HANDSHAKE_S
) -> Certificate:
    """Return the certificate that a server shows, unverified.

    :raises OSError: no TLS there.
    """
    der = _handshake(address, port, _context(None, False, 0), timeout_s)
    return Certificate.from_der(der)


def _handshake(
    address: str, port: int, tls: ssl.SSLContext, timeout_s: float
) -> bytes:
    with (
        socket.create_connection((address, port), timeout_s) as plain,
        tls.wrap_socket(plain, server_hostname=address) as wrapped,
    ):
        return wrapped.getpeercert(binary_form=True) or b''


def check(
    address: str,
    port: int,
    trust: bmc_credentials.Trust,
    timeout_s: float = HANDSHAKE_S,
) -> Certificate:
    """Do a TLS handshake as `trust` demands, and send nothing.

    :raises BmcCertificateUntrusted: it cannot be verified.
    :raises BmcCertificateChanged: it is not the pinned one.
    :raises BmcUnreachable: no TLS within the time.
    """
    where = f'{address}:{port}'
    try:
        if not trust.fingerprint:
            try:
                der = _handshake(address, port, context(trust), timeout_s)
                return Certificate.from_der(der)
            except ssl.SSLCertVerificationError as exc:
                shown = certificate_of(address, port, timeout_s)
                raise exception.BmcCertificateUntrusted(
                    address=where,
                    reason=exc.verify_message.rstrip('.'),
                    subject=shown.subject,
                    fingerprint=f'sha256:{shown.fingerprint}',
                ) from exc
        shown = certificate_of(address, port, timeout_s)
    except OSError as exc:
        raise exception.BmcUnreachable(
            address=address,
            what=f'TLS on TCP port {port} ({exc})',
            timeout_s=round(timeout_s),
            key='bmc_address',
        ) from exc
    require_pinned(where, shown, trust)
    return shown


def require_pinned(
    where: str, shown: Certificate, trust: bmc_credentials.Trust
) -> None:
    """Hold a certificate against the pinned one, where one is pinned.

    :param where: address and port that showed it.
    :raises BmcCertificateChanged: it is another one.
    """
    if trust.fingerprint and shown.fingerprint != trust.fingerprint:
        raise exception.BmcCertificateChanged(
            address=where,
            subject=shown.subject,
            fingerprint=f'sha256:{shown.fingerprint}',
            pinned=f'sha256:{trust.fingerprint}',
        )


_limits = threading.local()


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit how long all that this thread reads from BMCs may take.

    A timeout of a socket counts from byte to byte, so that one that sends
    them slowly would be read for ever. What takes longer is a TimeoutError.
    """
    before: float | None = getattr(_limits, 'until', None)
    until = time.monotonic() + seconds
    _limits.until = until if before is None else min(before, until)
    try:
        yield
    finally:
        _limits.until = before


class _LimitedSocket(ssl.SSLSocket):
    """Reads no longer than `within` allows."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        until: float | None = getattr(_limits, 'until', None)
        if until is None:
            return super().recv_into(*args, **kwargs)
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError('the answer took too long')
        usual_s = self.gettimeout()
        self.settimeout(left_s if usual_s is None else min(usual_s, left_s))
        try:
            return super().recv_into(*args, **kwargs)
        finally:
            self.settimeout(usual_s)


class Adapter(requests.adapters.HTTPAdapter):
    """An HTTPS transport that trusts as told, whatever `verify` says."""

    def __init__(self, trust: bmc_credentials.Trust) -> None:
        self.trust = trust
        super().__init__(pool_connections=1, pool_maxsize=2)

    def build_connection_pool_key_attributes(
        self, request: Any, verify: Any, cert: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Replace what `verify` asks for; also behind a proxy."""
        host, _tls = super().build_connection_pool_key_attributes(
            request, False, None
        )
        tls = context(self.trust)
        return host, {
            'ssl_context': tls,
            'cert_reqs': tls.verify_mode,
            'assert_fingerprint': self.trust.fingerprint,
        }

    def send(
        self, request: Any, stream: bool = False, *args: Any, **kwargs: Any
    ) -> Any:
        """Send a request; an answer without end is an error.

        :raises ConnectionError: of requests; more than LIMIT_BYTES came.
        """
        # Read here, not by requests, which would take all that comes.
        answer = super().send(request, True, *args, **kwargs)
        if not stream:
            body = bytearray()
            for part in answer.iter_content(1 << 16):
                body += part
                if len(body) > LIMIT_BYTES:
                    answer.close()
                    raise requests.ConnectionError(
                        f'more than {LIMIT_BYTES} bytes', request=request
                    )
            answer._content = bytes(body)
        return answer

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing: the pool was made with the right context."""


class PinStore:
    """Pinned certificates as files, for what can only be given a path.

    Named by their fingerprint, so that a path in driver_info says which
    certificate is meant and any conductor can write the same file.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = pathlib.Path(directory)

    def path(self, fingerprint: str) -> pathlib.Path:
        """Return where the certificate with this fingerprint belongs."""
        return self.directory / f'{fingerprint}.pem'

    def fingerprint(self, path: object) -> str | None:
        """Return the fingerprint that a path of ours stands for, or None."""
        if not isinstance(path, str):
            return None
        candidate = pathlib.Path(path)
        if candidate.parent != self.directory:
            return None
        match = re.fullmatch(r'([0-9a-f]{64})\.pem', candidate.name)
        return match[1] if match else None

    def write(self, fingerprint: str, pem: str) -> pathlib.Path:
        """Write a certificate unless it is there; 0644, renamed into place.

        :raises ValueError: the certificate is not the one of that name.
        """
        der = ssl.PEM_cert_to_DER_cert(pem)
        if hashlib.sha256(der).hexdigest() != fingerprint:
            raise ValueError('the certificate has another fingerprint')
        path = self.path(fingerprint)
        if not path.exists():
            self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            whole_file.write(path, pem, mode=0o644)
        return path
