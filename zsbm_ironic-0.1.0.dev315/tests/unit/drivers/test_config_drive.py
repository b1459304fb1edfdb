# SPDX-License-Identifier: Apache-2.0
"""Config drives, real ones made by mkisofs, get what their OS lacks."""

import base64
import gzip
import json
import subprocess
import types

import fixtures
import pycdlib
from oslotest import base

from zsbm_ironic.drivers import config_drive, events
from zsbm_ironic.network import checked

DATA = {'links': [{'id': 'tap1', 'vif_id': 'vif-1'}], 'networks': []}
MORE = {**DATA, 'networks': [{'id': 'more'}]}


class _Network(checked.Checked):
    def __init__(self, answer):
        self.answer = answer

    def completed(self, _task, _data):
        return self.answer


class _Node:
    uuid = '11111111-0000-4000-8000-000000000001'

    def __init__(self, drive):
        self.instance_info = {'configdrive': drive}
        self.saved = 0

    def set_instance_info(self, key, value):
        self.instance_info = {**self.instance_info, key: value}

    def save(self):
        self.saved += 1


class ConfigDriveTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.told = []
        self.useFixture(
            fixtures.MonkeyPatch(
                'zsbm_ironic.drivers.events.note',
                lambda *words: self.told.append(words[2]),
            )
        )
        self.assertIs(events, config_drive.events)

    def complete(self, drive, answer=MORE, network=None):
        node = _Node(drive)
        task = types.SimpleNamespace(
            node=node,
            driver=types.SimpleNamespace(network=network or _Network(answer)),
        )
        config_drive.complete(task)
        self.assertEqual(1 if self.told else 0, node.saved)
        return node.instance_info['configdrive']

    def image(self, files):
        """Return a drive as Nova makes it."""
        root = self.useFixture(fixtures.TempDir())
        for name, text in files.items():
            path = root.join('drive', name)
            subprocess.run(
                ['install', '-D', '/dev/stdin', path],
                input=text.encode(),
                check=True,
            )
        image = root.join('drive.iso')
        subprocess.run(
            ['mkisofs', '-o', image, '-ldots', '-allow-lowercase']
            + ['-allow-multidot', '-l', '-quiet', '-J', '-r', '-V', 'config-2']
            + [root.join('drive')],
            check=True,
        )
        with open(image, 'rb') as file:
            return base64.b64encode(gzip.compress(file.read())).decode()

    def drive(self, data=DATA):
        return self.image(
            {
                'openstack/latest/network_data.json': json.dumps(data),
                'openstack/latest/meta_data.json': '{"name": "web-1"}',
                'openstack/latest/user_data': '#!/bin/sh\n',
            }
        )

    def read(self, drive, name):
        found = pycdlib.PyCdlib()
        path = self.useFixture(fixtures.TempDir()).join('drive.iso')
        with open(path, 'wb') as file:
            file.write(gzip.decompress(base64.b64decode(drive)))
        found.open(path)
        self.addCleanup(found.close)
        with found.open_file_from_iso(
            rr_path=f'/openstack/latest/{name}'
        ) as file:
            return file.read().decode()

    def test_image_of_nova(self):
        made = self.complete(self.drive())
        self.assertEqual(
            MORE, json.loads(self.read(made, 'network_data.json'))
        )
        self.assertEqual(
            '{"name": "web-1"}', self.read(made, 'meta_data.json')
        )
        self.assertEqual('#!/bin/sh\n', self.read(made, 'user_data'))
        self.assertEqual(['config-drive-completed'], self.told)

    def test_nothing_is_missing(self):
        drive = self.drive()
        self.assertEqual(drive, self.complete(drive, answer=DATA))
        self.assertEqual([], self.told)

    def test_parts_of_a_drive(self):
        drive = {'meta_data': {'name': 'web-1'}, 'network_data': DATA}
        self.assertEqual({**drive, 'network_data': MORE}, self.complete(drive))

    def test_parts_without_a_network(self):
        alone = {'meta_data': {'name': 'web-1'}}
        self.assertEqual(alone, self.complete(alone))

    def test_other_network_interface(self):
        drive = self.drive()
        self.assertEqual(drive, self.complete(drive, network=object()))

    def test_what_cannot_be_read_stays(self):
        packed = gzip.compress(bytes(70 << 20))
        for drive in (
            'http://192.0.2.1/drive',
            'not base64!',
            base64.b64encode(b'not packed').decode(),
            base64.b64encode(gzip.compress(b'no ISO')).decode(),
            base64.b64encode(gzip.compress(bytes(1 << 20))).decode(),
            base64.b64encode(packed).decode(),
            self.drive()[:1000],
            self.image({'openstack/latest/meta_data.json': '{}'}),
            self.image({'openstack/latest/network_data.json': '[]'}),
            self.image({'openstack/latest/network_data.json': '{'}),
        ):
            self.assertEqual(drive, self.complete(drive), drive[:40])
        self.assertEqual([], self.told)
