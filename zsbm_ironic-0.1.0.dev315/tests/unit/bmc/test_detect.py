# SPDX-License-Identifier: Apache-2.0
"""Detection: what answers decides, and nothing is given away in asking."""

import socket
import threading
import time

import fixtures
from oslotest import base

from tests import bmcs
from tests.unit.bmc import test_trust
from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.bmc import credentials, detect
from zsbm_ironic.common import exception

Redfish = bmc_base.BmcProtocol.REDFISH
Ipmi = bmc_base.BmcProtocol.IPMI


class SilentTcp(fixtures.Fixture):
    """A TCP port that accepts and says `answer`, or nothing at all."""

    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer

    def _setUp(self):
        self.listener = socket.create_server((bmcs.ADDRESS, 0))
        self.port = self.listener.getsockname()[1]
        self.kept = []
        threading.Thread(target=self._accept, daemon=True).start()
        self.addCleanup(self.listener.close)

    def _accept(self):
        while True:
            try:
                peer, _address = self.listener.accept()
            except OSError:
                return
            self.kept.append(peer)
            if self.answer is not None:
                peer.sendall(self.answer)
                peer.close()


class TestDetect(base.BaseTestCase):
    def detect(self, port=None, **changes):
        """Detect what is on a port, TCP and UDP; none is a closed one."""
        info = {
            'bmc_address': bmcs.ADDRESS,
            'bmc_port': port or bmcs.free_port(),
            'bmc_username': 'a',
            'bmc_password': 'b',
            **changes,
        }
        return detect.detect(
            credentials.Credentials.from_driver_info(info), 1.5, 1.5
        )

    def ipmi(self, port=None):
        """Start an IPMI BMC, on the UDP port of a given number."""
        return self.useFixture(bmcs.PyghmiBmc(port))

    def test_ipmi_only(self):
        bmc = self.ipmi()
        self.assertEqual(detect.Found(Ipmi, True), self.detect(bmc.port))

    def test_redfish_with_and_without_ipmi(self):
        bmc = self.useFixture(bmcs.SushyToolsBmc())
        self.assertEqual(detect.Found(Redfish, False), self.detect(bmc.port))
        # Its serial console is where IPMI is, not where Redfish is.
        console = self.ipmi()
        self.assertEqual(
            detect.Found(Redfish, True),
            self.detect(bmc.port, ipmi_port=console.port),
        )

    def test_nobody(self):
        found = self.assertRaises(exception.BmcUnreachable, self.detect)
        self.assertIn('bmc_address', str(found))

    def test_a_silent_redfish_port_is_never_a_reason_for_ipmi(self):
        silent = self.useFixture(SilentTcp())
        self.ipmi(silent.port)
        found = self.assertRaises(
            exception.BmcProtocolUnclear, self.detect, silent.port
        )
        self.assertIn('bmc_protocol', str(found))
        self.assertIn('silent', str(found))

    def test_broken_tls_is_never_a_reason_for_ipmi(self):
        for answer in (b'', b'SSH-2.0-x\r\n', b'\x15\x03\x01\x00\x02\x02\x28'):
            broken = self.useFixture(SilentTcp(answer))
            self.ipmi(broken.port)
            self.assertRaises(
                exception.BmcProtocolUnclear, self.detect, broken.port
            )

    def test_a_web_server_without_redfish_leads_on_to_ipmi(self):
        web = self.useFixture(test_trust.TlsServer())
        self.ipmi(web.port)
        self.assertEqual(detect.Found(Ipmi, True), self.detect(web.port))
        self.assertEqual([None], web.seen)

    def test_an_explicit_protocol_is_taken(self):
        bmc = self.ipmi()
        for protocol in (Redfish, Ipmi):
            found = self.detect(bmc.port, bmc_protocol=protocol.value)
            self.assertIs(protocol, found.protocol)

    def test_the_probe_survives_loss(self):
        bmc = self.ipmi()
        relay = self.useFixture(bmcs.LossyUdp(bmc.port, loss=0.3))
        found = [
            detect.probe_ipmi(bmcs.ADDRESS, relay.port, 15) for _ in range(5)
        ]
        self.assertEqual({detect.Ipmi.V2}, set(found))

    def test_garbage_is_no_answer(self):
        liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        liar.bind((bmcs.ADDRESS, 0))
        self.addCleanup(liar.close)

        def lie():
            for answer in (b'', b'x' * 30, b'\x06\x00\xff\x07' + b'\0' * 40):
                try:
                    _packet, sender = liar.recvfrom(2048)
                except OSError:
                    return
                liar.sendto(answer, sender)

        threading.Thread(target=lie, daemon=True).start()
        started = time.monotonic()
        port = liar.getsockname()[1]
        self.assertIs(
            detect.Ipmi.SILENT, detect.probe_ipmi(bmcs.ADDRESS, port, 2)
        )
        self.assertLess(time.monotonic() - started, 4)
