# SPDX-License-Identifier: Apache-2.0
"""What a new system is told, and what it then pushes, by its own curl."""

import json
import os
import pathlib
import shutil
import stat
import subprocess

import fixtures
import testtools

from zsbm_ironic.monitoring import install

TOKEN = 'T0ken-' + 'x' * 40
URL = 'https://watch.example.org:9610/v1/push/1be26c0b'
CA = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'


class MergeTest(testtools.TestCase):
    ours = install.script(9100)

    def test_into_nothing(self):
        self.assertEqual(
            {'cloud-init': self.ours}, install.merged({}, self.ours)
        )

    def test_beside_what_others_tell(self):
        for said, expected in (
            ({'static': {'a': 1}}, [self.ours]),
            (
                {'cloud-init': '#cloud-config\n'},
                ['#cloud-config\n', self.ours],
            ),
            ({'cloud-init': ['a', 'b']}, ['a', 'b', self.ours]),
            ({'cloud-init': ''}, [self.ours]),
        ):
            made = install.merged(said, self.ours)
            parts = made.pop('cloud-init')
            self.assertEqual(
                expected, parts if isinstance(parts, list) else [parts]
            )
            said.pop('cloud-init', None)
            self.assertEqual(said, made)

    def test_once_only_and_out_again(self):
        newer = install.script(9200, install.Push(URL, TOKEN))
        for said in ({}, {'cloud-init': 'a'}, {'static': {}}):
            made = install.merged(install.merged(said, self.ours), newer)
            self.assertEqual(1, json.dumps(made).count(install.MARK))
            self.assertIn(TOKEN, json.dumps(made))
            self.assertEqual(said, install.merged(made, None))

    def test_what_cloud_init_would_refuse(self):
        self.assertRaises(
            ValueError, install.merged, {'cloud-init': {'a': 1}}, self.ours
        )

    def test_values_that_are_no_such_thing(self):
        for url, token in (
            ('http://watch.example.org/v1', TOKEN),
            (f'{URL}"\noutput = "/etc/passwd', TOKEN),
            (URL, 'short'),
            (URL, f'{TOKEN}"'),
        ):
            self.assertRaises(
                ValueError, install.script, 9100, install.Push(url, token)
            )

    def test_a_token_is_not_shown(self):
        self.assertNotIn(TOKEN, repr(install.Push(URL, TOKEN)))


@testtools.skipUnless(shutil.which('curl'), 'package curl')
class ScriptTest(testtools.TestCase):
    """The script is run, with a root and a package manager of its own."""

    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.program('systemctl', 'echo "$@" >> "$zsbm_root/systemctl"\n')
        # As that of Debian: it brings the program and its unit.
        self.program(
            'apt-get',
            'echo "$@" >> "$zsbm_root/apt-get"\n'
            'case "$*" in *install*)\n'
            'umask > "$zsbm_root/umask"\n'
            'cat "$zsbm_root"/etc/systemd/system/*.d/zsbm.conf '
            '> "$zsbm_root/started-by"\n'
            'made="$zsbm_root/bin/prometheus-node-exporter"\n'
            'echo "#!/bin/sh" > "$made"; chmod +x "$made";;\nesac\n',
        )

    def program(self, name, text):
        path = self.root / 'bin' / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\n{text}')
        path.chmod(0o755)

    def run_script(self, text):
        return subprocess.run(
            ['/bin/sh', '-s'],
            input=text,
            text=True,
            capture_output=True,
            timeout=60,
            check=True,
            env={
                'PATH': f'{self.root}/bin:{os.environ["PATH"]}',
                'zsbm_root': str(self.root),
            },
        )

    def read(self, name):
        return (self.root / name).read_text()

    def test_scraped(self):
        self.run_script(install.script(9200))
        self.assertIn('prometheus-node-exporter curl', self.read('apt-get'))
        unit = self.read(
            'etc/systemd/system/prometheus-node-exporter.service.d/zsbm.conf'
        )
        self.assertIn('--web.listen-address=:9200 $ARGS\n', unit)
        self.assertIn(
            'enable prometheus-node-exporter.service', self.read('systemctl')
        )
        self.assertFalse((self.root / 'etc/zsbm-push').exists())

    def test_packages_are_installed_as_a_person_does(self):
        """What is started while they are listens on loopback already."""
        self.run_script(install.script(9100, install.Push(URL, TOKEN)))
        self.assertIn(
            'ExecStart=/usr/bin/prometheus-node-exporter '
            '--web.listen-address=127.0.0.1:9100 $ARGS\n',
            self.read('started-by'),
        )
        self.assertEqual('0022\n', self.read('umask'))

    def test_pushes(self):
        self.run_script(install.script(9100, install.Push(URL, TOKEN, CA)))
        unit = self.read(
            'etc/systemd/system/prometheus-node-exporter.service.d/zsbm.conf'
        )
        self.assertIn('--web.listen-address=127.0.0.1:9100', unit)
        folder = self.root / 'etc/zsbm-push'
        self.assertEqual(CA, (folder / 'ca.pem').read_text())
        for path in (folder, *folder.iterdir()):
            self.assertEqual(
                0, stat.S_IMODE(path.stat().st_mode) & 0o077, path
            )
        told = (folder / 'curl.conf').read_text()
        self.assertIn(f'url = "{URL}"\n', told)
        self.assertIn(f'cacert = "{folder}/ca.pem"\n', told)
        self.assertNotIn('insecure', told)
        # In no unit, and in no list of processes.
        for name in ('service', 'timer'):
            self.assertNotIn(
                TOKEN, self.read(f'etc/systemd/system/zsbm-push.{name}')
            )
        self.assertNotIn(TOKEN, (folder / 'push').read_text())
        self.assertIn('enable --now zsbm-push.timer', self.read('systemctl'))

    def test_one_that_is_there_is_not_installed_again(self):
        self.program('prometheus-node-exporter', '')
        self.run_script(install.script(9100))
        self.assertFalse((self.root / 'apt-get').exists())

    def test_twice_is_as_once(self):
        for _ in range(2):
            self.run_script(install.script(9100, install.Push(URL, TOKEN, CA)))
        told = self.read('etc/zsbm-push/curl.conf')
        self.assertEqual(1, told.count('cacert'))
