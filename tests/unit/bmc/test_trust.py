# SPDX-License-Identifier: Apache-2.0
"""Certificates, with real TLS servers: who is trusted, who is not."""

import contextlib
import http.server
import ipaddress
import pathlib
import ssl
import threading
import time

import fixtures
import requests
from cryptography import x509
from oslotest import base

from tests import bmcs
from zsbm_ironic.bmc import credentials, trust
from zsbm_ironic.common import exception


class _Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(self.headers.get('Authorization'))
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'{}')

    def log_message(self, *_args):
        pass


class TlsServer(fixtures.Fixture):
    """An HTTPS server; `seen` has the Authorization of each request."""

    def __init__(self, name='bmc-factory-0001', san=None, handler=_Quiet):
        super().__init__()
        self.handler = handler
        self.name = name
        self.san = san

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cert = folder / 'cert.pem'
        self.fingerprint = bmcs.make_certificate(folder, self.name, self.san)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(self.cert, folder / 'key.pem')
        self.server = http.server.ThreadingHTTPServer(
            (bmcs.ADDRESS, 0), self.handler
        )
        self.server.seen = self.seen = []
        self.server.socket = tls.wrap_socket(
            self.server.socket, server_side=True
        )
        self.port = self.server.server_port
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)


def get(server, policy, **kwargs):
    """GET with a password, as sushy would; return what the server saw."""
    with requests.Session() as session:
        session.mount('https://', trust.Adapter(policy))
        session.get(
            f'https://{bmcs.ADDRESS}:{server.port}/',
            auth=('admin', 'secret'),
            timeout=10,
            **kwargs,
        )
    return server.seen


class TestTrust(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.server = self.useFixture(TlsServer())
        self.pinned = credentials.Trust(fingerprint=self.server.fingerprint)
        self.wrong = credentials.Trust(fingerprint='a0' * 32)

    def check(self, policy):
        return trust.check(bmcs.ADDRESS, self.server.port, policy)

    def test_a_factory_certificate_is_shown_with_two_remedies(self):
        found = self.assertRaises(
            exception.BmcCertificateUntrusted, self.check, credentials.Trust()
        )
        for part in (
            f'{bmcs.ADDRESS}:{self.server.port}',
            'CN=bmc-factory-0001',
            f'bmc_cert_fingerprint=sha256:{self.server.fingerprint}',
            'bmc_verify_ca=PATH',
            'no password was sent',
        ):
            self.assertIn(part, str(found))

    def test_the_pinned_one_is_trusted_under_any_name(self):
        self.assertIn('factory', self.check(self.pinned).subject)
        self.assertEqual(1, len(get(self.server, self.pinned)))

    def test_another_one_than_the_pinned_gets_no_password(self):
        found = self.assertRaises(
            exception.BmcCertificateChanged, self.check, self.wrong
        )
        self.assertIn(self.server.fingerprint, str(found))
        self.assertIn('a0a0', str(found))
        self.assertRaises(
            requests.exceptions.SSLError, get, self.server, self.wrong
        )
        self.assertEqual([], self.server.seen)

    def test_verify_false_of_the_caller_does_not_unpin(self):
        for verify in (False, True, str(self.server.cert)):
            self.assertRaises(
                requests.exceptions.SSLError,
                get,
                self.server,
                self.wrong,
                verify=verify,
            )
        self.assertEqual([], self.server.seen)

    def test_the_certificate_as_ca_file_does_not_make_the_name_match(self):
        """Why a pin cannot be given to upstream as a mere CA file."""
        policy = credentials.Trust(ca_path=str(self.server.cert))
        self.assertRaises(
            exception.BmcCertificateUntrusted, self.check, policy
        )
        self.assertRaises(
            requests.exceptions.SSLError, get, self.server, policy
        )

    def test_a_good_certificate_is_verified_by_its_ca(self):
        san = x509.IPAddress(ipaddress.ip_address(bmcs.ADDRESS))
        good = self.useFixture(TlsServer(san=san))
        policy = credentials.Trust(ca_path=str(good.cert))
        trust.check(bmcs.ADDRESS, good.port, policy)
        self.assertEqual(1, len(get(good, policy)))
        self.assertRaises(
            exception.BmcCertificateUntrusted,
            trust.check,
            bmcs.ADDRESS,
            good.port,
            credentials.Trust(),
        )

    def test_verify_false_takes_anything(self):
        policy = credentials.Trust(verify=False)
        self.check(policy)
        self.assertEqual(1, len(get(self.server, policy)))

    def test_contexts_are_shared(self):
        self.assertIs(
            trust.context(credentials.Trust()),
            trust.context(credentials.Trust()),
        )
        self.assertIs(trust.context(self.pinned), trust.context(self.wrong))
        self.assertIsNot(
            trust.context(credentials.Trust()), trust.context(self.pinned)
        )

    def test_a_request_does_not_weaken_the_shared_context(self):
        strict = trust.context(credentials.Trust())
        get(self.server, self.pinned)
        self.assertRaises(
            requests.exceptions.SSLError,
            get,
            self.server,
            credentials.Trust(),
            verify=False,
        )
        self.assertIs(ssl.CERT_REQUIRED, strict.verify_mode)
        self.assertTrue(strict.check_hostname)

    def test_nobody_there(self):
        found = self.assertRaises(
            exception.BmcUnreachable,
            trust.check,
            bmcs.ADDRESS,
            bmcs.free_port(),
            self.pinned,
        )
        self.assertIn('bmc_address', str(found))

    def test_a_ca_file_that_is_none(self):
        found = self.assertRaises(
            exception.BmcSettingInvalid,
            trust.context,
            credentials.Trust(ca_path=__file__),
        )
        self.assertIn('bmc_verify_ca', str(found))


class TestPinStore(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.fingerprint = bmcs.make_certificate(folder)
        self.pem = (pathlib.Path(folder) / 'cert.pem').read_text()
        self.store = trust.PinStore(f'{folder}/pins')

    def test_a_path_stands_for_its_certificate(self):
        path = self.store.write(self.fingerprint, self.pem)
        self.assertEqual(self.pem, path.read_text())
        self.assertEqual(0o644, path.stat().st_mode & 0o777)
        self.assertEqual(self.fingerprint, self.store.fingerprint(str(path)))
        self.store.write(self.fingerprint, self.pem)

    def test_other_paths_are_nobodys(self):
        inside = self.store.path(self.fingerprint)
        for other in (
            True,
            False,
            None,
            '/etc/ssl/certs',
            f'/tmp/{inside.name}',
            str(inside.with_suffix('.crt')),
            f'{inside.parent}/x/../{inside.name}',
        ):
            self.assertIsNone(self.store.fingerprint(other))

    def test_a_certificate_under_a_wrong_name_is_refused(self):
        self.assertRaises(ValueError, self.store.write, 'a0' * 32, self.pem)


class Strange(http.server.BaseHTTPRequestHandler):
    """Says too much, or everything too slowly."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(self.server.part)
                time.sleep(self.server.pause_s)

    def log_message(self, *_args):
        pass


class TestAnswersWithoutEnd(base.BaseTestCase):
    def get(self, part, pause_s):
        server = self.useFixture(TlsServer(handler=Strange))
        server.server.part, server.server.pause_s = part, pause_s
        policy = credentials.Trust(fingerprint=server.fingerprint)
        with requests.Session() as session, trust.within(2):
            session.mount('https://', trust.Adapter(policy))
            return session.get(
                f'https://{bmcs.ADDRESS}:{server.port}/', timeout=10
            )

    def test_too_slow(self):
        began = time.monotonic()
        self.assertRaises(requests.ConnectionError, self.get, b'x', 0.2)
        self.assertLess(time.monotonic() - began, 5)

    def test_too_much(self):
        self.useFixture(
            fixtures.MonkeyPatch(f'{trust.__name__}.LIMIT_BYTES', 1 << 20)
        )
        found = self.assertRaises(
            requests.ConnectionError, self.get, b'x' * 65536, 0.0
        )
        self.assertIn('more than', str(found))

    def test_the_narrower_limit_counts(self):
        with trust.within(60):
            until = trust._limits.until
            with trust.within(3600):
                self.assertEqual(until, trust._limits.until)
            with trust.within(1):
                self.assertLess(trust._limits.until, until)
            self.assertEqual(until, trust._limits.until)
        self.assertIsNone(trust._limits.until)
