# SPDX-License-Identifier: Apache-2.0
import json
import os
import pathlib

import fixtures
from oslotest import base

from zsbm_ironic.common import exception
from zsbm_ironic.netboot import desired, dnsmasq

MAC = '52:54:00:aa:00:01'
OTHER = '52:54:00:aa:00:02'
SHARED = '198.51.100.50'
NODE = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0001'
PORT = '6f1d2a0e-5e0f-4a44-9d2c-0d7d5d2f0002'
HOSTILE = (
    'ff:00\ndhcp-option=6,192.0.2.66',
    'ff:00\n',
    'ff:00,set:other',
    '*,192.0.2.66',
    'id:ff',
    '',
    'ff:00\0',
    'FF:00',
    'ｆf:00',
)


def record(**fields):
    fields.setdefault('addresses', (SHARED,))
    fields.setdefault('mac', MAC)
    return desired.Record(node=NODE, port=PORT, **fields)


class TestRecord(base.BaseTestCase):
    def test_text_and_back(self):
        one = record(
            vif=PORT,
            client_id='ff:00:00:01',
            script='http://198.51.100.1:8080/boot.ipxe',
            options=(desired.Option(67, 'snponly.efi', 'not-ipxe'),),
        )
        self.assertEqual(one, desired.parse(one.to_json(), MAC))

    def test_a_hostile_client_id_is_refused(self):
        for value in HOSTILE:
            exc = self.assertRaises(
                exception.DesiredRecordInvalid,
                record(client_id=value).to_json,
            )
            self.assertIn(MAC, str(exc))

    def test_a_hostile_option_or_script_is_refused(self):
        for value in (
            'http://a/b\nhost-record=x',
            'http://a/b,c',
            'http://a/"b',
            'http://a/b c',
            'http://a/b#c',
            'ftp://a/b',
            'http://a/\\b',
        ):
            self.assertRaises(
                exception.DesiredRecordInvalid, record(script=value).to_json
            )
        for value in ('a,b', 'a\nb', 'a"b', '', 'x' * 256, 'a;b', 'a b'):
            self.assertRaises(
                exception.DesiredRecordInvalid,
                record(options=(desired.Option(67, value),)).to_json,
            )

    def test_an_option_that_boots_nothing_is_refused(self):
        for code in (3, 6, 43, 51, 121):
            self.assertRaises(
                exception.DesiredRecordInvalid,
                record(options=(desired.Option(code, '192.0.2.66'),)).to_json,
            )

    def test_hostile_addresses_macs_and_owners_are_refused(self):
        for fields in (
            {'addresses': ('198.51.100.50,infinite',)},
            {'addresses': ('198.51.100.50\nignore',)},
            {'addresses': ('198.51.100',)},
            {'vif': 'x\ny'},
            {'served_by': 'me'},
        ):
            self.assertRaises(
                exception.DesiredRecordInvalid, record(**fields).to_json
            )
        one = desired.Record(f'{MAC},set:known', NODE, PORT)
        self.assertRaises(exception.DesiredRecordInvalid, one.to_json)

    def test_unknown_keys_and_versions_are_refused(self):
        data = json.loads(record().to_json())
        for change in ({'extra': 1}, {'version': 2}, {'mac': 'x'}):
            self.assertRaises(
                exception.DesiredRecordInvalid,
                desired.parse,
                json.dumps({**data, **change}),
                MAC,
            )

    def test_the_record_of_another_mac_is_refused(self):
        exc = self.assertRaises(
            exception.DesiredRecordInvalid,
            desired.parse,
            record().to_json(),
            '52:54:00:aa:00:02',
        )
        self.assertIn('the file is about', str(exc))

    def test_without_boot_keeps_the_address(self):
        one = record(script='http://a/b')
        self.assertTrue(one.boots)
        bare = one.without_boot()
        self.assertFalse(bare.boots)
        self.assertEqual(one.addresses, bare.addresses)


class TestSettled(base.BaseTestCase):
    def test_an_address_is_of_the_record_written_last(self):
        gone = record(mac=OTHER, addresses=(SHARED, '192.0.2.8'), updated=1.0)
        new = record(addresses=(SHARED,), updated=2.0)
        for order in ((gone, new), (new, gone)):
            found = desired.settled({one.mac: one for one in order})
            self.assertEqual((SHARED,), found[new.mac].addresses)
            self.assertEqual(('192.0.2.8',), found[OTHER].addresses)
        self.assertEqual(1, dnsmasq.hosts(found.values()).count(SHARED))

    def test_what_neutron_serves_is_left_alone(self):
        one, other = (
            record(
                mac=mac,
                addresses=(SHARED,),
                served_by='neutron',
                updated=updated,
            )
            for mac, updated in ((MAC, 1.0), (OTHER, 2.0))
        )
        ours = record(
            mac='52:54:00:00:00:03', addresses=(SHARED,), updated=0.5
        )
        given = {found.mac: found for found in (one, other, ours)}
        self.assertEqual(given, desired.settled(given))


class TestDesiredState(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.state = desired.DesiredState(self.directory)

    def test_write_and_read(self):
        written = self.state.write(record())
        self.assertEqual(written, self.state.read(MAC))
        self.assertTrue(record().same_as(written))
        mode = self.state.path(MAC).stat().st_mode
        self.assertEqual(0o640, mode & 0o777)
        self.assertEqual(
            ['52-54-00-aa-00-01.json'], os.listdir(self.directory)
        )

    def test_remove_is_idempotent(self):
        self.state.write(record())
        self.state.remove(MAC)
        self.state.remove(MAC)
        self.assertIsNone(self.state.read(MAC))

    def test_a_bad_record_leaves_the_good_one(self):
        kept = self.state.write(record())
        self.assertRaises(
            exception.DesiredRecordInvalid,
            self.state.write,
            record(client_id='x'),
        )
        self.assertEqual(kept, self.state.read(MAC))

    def test_a_draft_that_a_crash_left_is_replaced(self):
        draft = self.directory / '.52-54-00-aa-00-01.json'
        draft.symlink_to('/etc/passwd')
        self.state.write(record())
        self.assertEqual({MAC}, set(self.state.load()[0]))

    def test_load_tells_good_from_bad(self):
        self.state.write(record())
        other = '52:54:00:aa:00:02'
        self.state.path(other).write_text('{')
        (self.directory / 'README').write_text('not a record')
        records, rejected = self.state.load()
        self.assertEqual([MAC], list(records))
        self.assertEqual([other], list(rejected))

    def test_load_sees_changes(self):
        self.state.write(record())
        self.state.load()
        self.state.write(record(addresses=('198.51.100.51',)))
        self.assertEqual(
            ('198.51.100.51',), self.state.load()[0][MAC].addresses
        )
        self.state.remove(MAC)
        self.assertEqual(({}, {}), self.state.load())

    def test_the_generation_changes_with_each_change(self):
        seen = {self.state.generation()}
        self.state.write(record())
        seen.add(self.state.generation())
        os.utime(self.directory, ns=(0, 0))
        self.state.remove(MAC)
        seen.add(self.state.generation())
        self.assertEqual(3, len(seen))

    def test_links_pipes_and_folders_are_refused(self):
        path = self.state.path(MAC)
        for make in (
            lambda: path.symlink_to('/etc/passwd'),
            lambda: os.mkfifo(path),
            path.mkdir,
        ):
            make()
            self.assertRaises(
                exception.DesiredRecordInvalid, self.state.read, MAC
            )
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()
