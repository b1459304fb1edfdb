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

import dataclasses
import functools
import hashlib
import os
import pathlib
import re
import socket
import ssl
from typing import Any

import requests.adapters
from cryptography import x509

from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception, whole_file

HANDSHAKE_S = 10.0


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
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        return unverified
    where = pathlib.Path(ca_path) if ca_path else None
    if where and where.is_dir():
        return ssl.create_default_context(capath=str(where))
    return ssl.create_default_context(cafile=ca_path)


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
    if shown.fingerprint != trust.fingerprint:
        raise exception.BmcCertificateChanged(
            address=where,
            subject=shown.subject,
            fingerprint=f'sha256:{shown.fingerprint}',
            pinned=f'sha256:{trust.fingerprint}',
        )
    return shown


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
