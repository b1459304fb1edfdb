# SPDX-License-Identifier: Apache-2.0
"""An SMTP server on loopback that keeps what it is sent, over TLS alone.

As much of RFC 5321 as a program that sends mail needs, with STARTTLS, and no
mail before it.
"""

import email
import email.policy
import ipaddress
import pathlib
import socketserver
import ssl
import threading

import fixtures
from cryptography import x509

from tests import bmcs


class _Handler(socketserver.StreamRequestHandler):
    timeout = 30

    def _say(self, line):
        self.wfile.write(f'{line}\r\n'.encode())

    def handle(self):
        secured, to = False, []
        self._say('220 sink')
        while line := self.rfile.readline(2000):
            verb = line.split()[0].upper() if line.split() else b''
            if verb == b'EHLO':
                self._say('250 sink' if secured else '250-sink')
                if not secured:
                    self._say('250 STARTTLS')
            elif verb == b'STARTTLS' and not secured:
                self._say('220 go on')
                self._secure()
                secured = True
            elif verb == b'QUIT':
                self._say('221 bye')
                return
            elif not secured:
                self._say('530 STARTTLS first')
            elif verb == b'RCPT':
                to.append(line.decode().partition('<')[2].partition('>')[0])
                self._say('250 ok')
            elif verb == b'DATA':
                self._say('354 go on')
                self.server.sink.keep(to, self._text())
                to = []
                self._say('250 kept')
            else:
                self._say('250 ok' if verb in (b'MAIL', b'RSET') else '502 no')

    def _secure(self):
        self.connection = self.server.tls.wrap_socket(
            self.connection, server_side=True
        )
        self.rfile = self.connection.makefile('rb')
        self.wfile = socketserver._SocketWriter(self.connection)

    def _text(self):
        lines = []
        while (line := self.rfile.readline()) not in (b'.\r\n', b''):
            lines.append(line.removeprefix(b'.'))
        return b''.join(lines)


class MailSink(fixtures.Fixture):
    """Takes mail for anybody.

    :ivar address: HOST:PORT.
    :ivar certificate: file by which it is verified.
    """

    def _setUp(self):
        folder = self.useFixture(fixtures.TempDir()).path
        bmcs.make_certificate(
            folder,
            'sink',
            san=x509.IPAddress(ipaddress.ip_address(bmcs.ADDRESS)),
        )
        self.certificate = pathlib.Path(folder, 'cert.pem')
        self._lock = threading.Lock()
        self._mails = []
        server = socketserver.ThreadingTCPServer((bmcs.ADDRESS, 0), _Handler)
        server.daemon_threads = True
        server.sink = self
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(
            self.certificate, pathlib.Path(folder, 'key.pem')
        )
        self.address = f'{bmcs.ADDRESS}:{server.server_address[1]}'
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)

    def keep(self, to, text):
        """Keep a mail."""
        mail = email.message_from_bytes(text, policy=email.policy.default)
        with self._lock:
            self._mails += [(one, str(mail['Subject'])) for one in to]

    @property
    def mails(self):
        """Return (recipient, subject) of each, in the order of arrival."""
        with self._lock:
            return list(self._mails)
