# SPDX-License-Identifier: Apache-2.0
"""Config drives, real ones made by mkisofs, get what their OS lacks."""

import base64
import gzip
import json
import re
import subprocess
import types

import fixtures
import pycdlib
from ironic.common import exception as ironic_exception
from oslotest import base

from zsbm_ironic import conf
from zsbm_ironic.drivers import config_drive, events, os_metrics
from zsbm_ironic.monitoring import install, push
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
    name = 'web-1'

    def __init__(self, drive, **info):
        self.instance_info = {'configdrive': drive, **info}
        self.driver_internal_info = {}
        self.saved = 0

    def set_driver_internal_info(self, key, value):
        self.driver_internal_info = {**self.driver_internal_info, key: value}

    def del_driver_internal_info(self, key):
        self.driver_internal_info = {
            name: value
            for name, value in self.driver_internal_info.items()
            if name != key
        }

    def set_instance_info(self, key, value):
        self.instance_info = {**self.instance_info, key: value}

    def save(self):
        self.saved += 1


class DriveCase(base.BaseTestCase):
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

    def task(self, node, network=None):
        return types.SimpleNamespace(
            node=node,
            driver=types.SimpleNamespace(network=network or _Network(MORE)),
        )

    def complete(self, drive, answer=MORE, network=None):
        node = _Node(drive)
        config_drive.complete(self.task(node, network or _Network(answer)))
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

    def read(self, drive, name, version='latest'):
        found = pycdlib.PyCdlib()
        path = self.useFixture(fixtures.TempDir()).join('drive.iso')
        with open(path, 'wb') as file:
            file.write(gzip.decompress(base64.b64decode(drive)))
        found.open(path)
        self.addCleanup(found.close)
        with found.open_file_from_iso(
            rr_path=f'/openstack/{version}/{name}'
        ) as file:
            return file.read().decode()


class ConfigDriveTest(DriveCase):
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

    def test_the_version_that_an_os_reads(self):
        """Cloud-init takes the newest that it knows, and not `latest`."""
        versions = ('2012-08-10', '2018-08-27', '2020-10-14', 'latest')
        made = self.complete(
            self.image(
                {
                    f'openstack/{version}/{name}': text
                    for version in versions
                    for name, text in (
                        ('meta_data.json', '{}'),
                        ('network_data.json', json.dumps(DATA)),
                    )
                }
            )
        )
        for version in versions:
            self.assertEqual(
                MORE,
                json.loads(self.read(made, 'network_data.json', version)),
            )

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


class WatchedTest(DriveCase):
    """Drives of systems that are to be watched."""

    def setUp(self):
        super().setUp()
        self.history = []
        self.useFixture(
            fixtures.MonkeyPatch(
                'ironic.conductor.utils.node_history_record',
                lambda node, **words: self.history.append(words['event']),
            )
        )
        self.group = 'zsbm_monitoring'
        for option, value in {
            'enabled': True,
            'push_listen': '127.0.0.1:9611',
            'push_url': 'https://watch.example.org:9610',
        }.items():
            conf.CONF.set_override(option, value, self.group)
            self.addCleanup(conf.CONF.clear_override, option, self.group)

    def watched(self, drive, mode):
        self.node = _Node(drive, zsbm_os_metrics=mode)
        config_drive.complete(self.task(self.node))
        return self.node.instance_info['configdrive']

    def token(self, text):
        """Return the token in vendor data, after holding it to its digest."""
        (token,) = re.findall('zsbm_token=([A-Za-z0-9_-]+)', text)
        record = self.node.driver_internal_info[os_metrics.RECORD]
        self.assertEqual(push.digest(token), record['sha256'])
        self.assertNotIn(token, json.dumps(self.node.driver_internal_info))
        return token

    def test_an_image(self):
        made = self.watched(self.drive(), 'pull')
        said = json.loads(self.read(made, 'vendor_data2.json'))
        self.assertTrue(said['cloud-init'].startswith('#!/bin/sh\n'))
        self.assertNotIn('Bearer x', said['cloud-init'])
        # What the user gave is as it was.
        self.assertEqual('#!/bin/sh\n', self.read(made, 'user_data'))
        self.assertEqual(
            MORE, json.loads(self.read(made, 'network_data.json'))
        )
        self.assertEqual({}, self.node.driver_internal_info)

    def test_beside_what_the_cloud_tells(self):
        cloud = {'cloud-init': '#cloud-config\n', 'static': {'a': 1}}
        made = self.watched(
            self.image(
                {
                    'openstack/latest/meta_data.json': '{}',
                    'openstack/latest/vendor_data2.json': json.dumps(cloud),
                }
            ),
            'push',
        )
        said = json.loads(self.read(made, 'vendor_data2.json'))
        self.assertEqual({'a': 1}, said['static'])
        self.assertEqual('#cloud-config\n', said['cloud-init'][0])
        self.token(said['cloud-init'][1])

    def test_parts(self):
        given = {'meta_data': {'name': 'web-1'}, 'user_data': {'a': 'b'}}
        made = self.watched(given, 'push')
        self.token(made['vendor_data']['cloud-init'])
        self.assertEqual(given, {k: made[k] for k in given})

    def test_no_drive_at_all(self):
        for nothing in (None, '', {}):
            self.assertEqual(nothing, self.watched(nothing, 'off'))
            made = self.watched(nothing, 'pull')
            self.assertEqual({'vendor_data'}, set(made))

    def test_the_token_does_not_stay(self):
        for drive in (self.drive(), {'meta_data': {'name': 'web-1'}}, None):
            before = self.watched(drive, 'push')
            config_drive.withdraw(self.task(self.node))
            after = self.node.instance_info['configdrive']
            self.assertNotEqual(before, after)
            if isinstance(after, str):
                said = self.read(after, 'vendor_data2.json')
                self.assertEqual({}, json.loads(said))
                self.assertEqual('#!/bin/sh\n', self.read(after, 'user_data'))
            else:
                self.assertEqual(drive or {}, after)

    def test_a_rebuild_has_another_token(self):
        made = self.watched({'meta_data': {}}, 'push')
        first = self.token(made['vendor_data']['cloud-init'])
        node = self.node
        config_drive.complete(self.task(node))
        text = node.instance_info['configdrive']['vendor_data']['cloud-init']
        self.assertNotEqual(first, self.token(text))
        self.assertEqual(1, text.count(install.MARK))

    def test_a_rebuild_without_it(self):
        self.watched({'meta_data': {}}, 'push')
        node = self.node
        node.instance_info = {**node.instance_info, 'zsbm_os_metrics': 'off'}
        config_drive.complete(self.task(node))
        self.assertEqual({}, node.driver_internal_info)
        self.assertEqual({'meta_data': {}}, node.instance_info['configdrive'])

    def test_where_it_cannot_be_the_history_says_so(self):
        for drive in (
            'http://192.0.2.1/drive',
            'not base64!',
            {'vendor_data': {'cloud-init': {'a': 1}}},
            {'vendor_data': 'x'},
            self.image(
                {
                    'openstack/latest/meta_data.json': '{}',
                    'openstack/latest/vendor_data2.json': '[]',
                }
            ),
        ):
            self.history.clear()
            self.assertEqual(drive, self.watched(drive, 'push'))
            self.assertEqual({}, self.node.driver_internal_info)
            self.assertIn('will not be watched', self.history[0])

    def test_switch_and_settings(self):
        for mode in ('maybe', True, '', 'PULL'):
            error = self.assertRaises(
                ironic_exception.InvalidParameterValue,
                self.watched,
                {},
                mode,
            )
            self.assertIn('off, present, pull, push', str(error))
        for option in ('push_url', 'push_listen', 'enabled'):
            before = conf.CONF.zsbm_monitoring[option]
            conf.CONF.set_override(option, None, self.group)
            error = self.assertRaises(
                ironic_exception.InvalidParameterValue,
                self.watched,
                {},
                'push',
            )
            self.assertIn(f'Node {self.node.name}', str(error))
            self.assertIn(option, str(error))
            conf.CONF.set_override(option, before, self.group)

    def test_certificates_that_are_not_there(self):
        self.addCleanup(conf.CONF.clear_override, 'push_ca_file', self.group)
        conf.CONF.set_override('push_ca_file', '/nonexistent', self.group)
        error = self.assertRaises(
            ironic_exception.InvalidParameterValue, self.watched, {}, 'push'
        )
        self.assertIn('push_ca_file /nonexistent', str(error))
