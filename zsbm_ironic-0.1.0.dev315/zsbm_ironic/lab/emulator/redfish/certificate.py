# SPDX-License-Identifier: Apache-2.0
"""A BMC's certificate as it comes from the factory.

Self-signed, named after the box and not after its address, valid for ten
years: nothing that a client can verify but its fingerprint.
"""

import datetime
import hashlib
import pathlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from zsbm_ironic.common import whole_file

_VALID = datetime.timedelta(days=3650)


def create(path: pathlib.Path, name: str, maker: str) -> None:
    """Write a new key and certificate into one PEM file, readable by us.

    :param name: the subject's common name.
    :param maker: the subject's organisation.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, maker),
            x509.NameAttribute(oid.NameOID.COMMON_NAME, name),
        ]
    )
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _VALID)
        .add_extension(x509.BasicConstraints(True, None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    whole_file.write(
        path, secret + certificate.public_bytes(serialization.Encoding.PEM)
    )


def fingerprint(path: pathlib.Path) -> str:
    """Return 'sha256:' and the hex digest of the certificate."""
    text = path.read_text()
    start = text.index('-----BEGIN CERTIFICATE-----')
    der = ssl.PEM_cert_to_DER_cert(text[start:])
    return f'sha256:{hashlib.sha256(der).hexdigest()}'


def context(path: pathlib.Path) -> ssl.SSLContext:
    """Return a server-side TLS context with the certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(path)
    return made
