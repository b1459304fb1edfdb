# SPDX-License-Identifier: Apache-2.0
import ipaddress
import struct

from oslotest import base

from zsbm_ironic.netboot import packet

MAC = '52:54:00:aa:00:01'

# A DHCPOFFER of dnsmasq 2.90, as tcpdump saw it: 192.0.2.1 offers 192.0.2.9.
OFFER = bytes.fromhex(
    '02010600' '01020304' '00008000' '00000000' 'c0000209' 'c0000201'
    '00000000' '525400aa0001' + '00' * 10 + '00' * 192 + '63825363'
    '350102' '3604c0000201' '330400000e10' '0104ffffff00' 'ff'
)  # fmt: skip


class TestPacket(base.BaseTestCase):
    def test_an_offer_is_read(self):
        message = packet.parse(OFFER)
        self.assertEqual(packet.OFFER, message.kind)
        self.assertEqual('192.0.2.1', message.server_id)
        self.assertEqual('192.0.2.9', message.offered)
        self.assertEqual(MAC, message.mac)
        self.assertTrue(message.broadcast)

    def test_what_is_no_message_is_none(self):
        for raw in (b'', b'\0' * 300, OFFER[:200], OFFER[:239]):
            self.assertIsNone(packet.parse(raw))

    def test_options_that_are_cut_off_are_read_as_far_as_they_go(self):
        for length in range(240, len(OFFER)):
            packet.parse(OFFER[:length])

    def test_a_message_and_back(self):
        one = packet.Message(1, 7, MAC, {53: b'\x01', 55: b'\x01\x03'})
        self.assertEqual(one, packet.parse(one.to_bytes()))
        self.assertGreaterEqual(len(one.to_bytes()), 300)

    def test_the_checksum_of_a_frame_is_right(self):
        one = packet.Message(1, 7, MAC, {53: b'\x01'})
        raw = packet.frame(one)
        self.assertEqual(packet.mac_bytes(MAC), raw[6:12])
        words = struct.unpack('!10H', raw[14:34])
        total = sum(words)
        total = (total & 0xFFFF) + (total >> 16)
        self.assertEqual(0xFFFF, (total & 0xFFFF) + (total >> 16))

    def test_only_frames_of_a_server_are_unframed(self):
        self.assertIsNone(
            packet.unframe(packet.frame(packet.Message(1, 7, MAC, {})))
        )
        source = ipaddress.IPv4Address('192.0.2.1').packed
        header = b'\x45' + b'\0' * 8 + b'\x11\0\0' + source + b'\xff' * 4
        udp = struct.pack('!HHHH', 67, 68, 8 + len(OFFER), 0)
        ethernet = b'\xff' * 6 + packet.mac_bytes(MAC) + b'\x08\x00'
        heard = packet.unframe(ethernet + header + udp + OFFER)
        self.assertEqual((MAC, '192.0.2.1'), heard[:2])
        self.assertEqual(packet.OFFER, heard[2].kind)
        self.assertIsNone(packet.unframe(ethernet + header))
