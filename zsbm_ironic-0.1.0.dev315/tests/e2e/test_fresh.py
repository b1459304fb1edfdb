# SPDX-License-Identifier: Apache-2.0
"""The way in, from a clean clone on a machine that has nothing yet."""

import json
import os
import pathlib
import time

import testtools

from tests.e2e import fresh_root

QUICKSTART_S = 2100
SAMPLE_S = 2300
MACHINES = ('metal-uefi', 'metal-bios')
SERVICES = ('nginx', 'systemd-resolved')
# What takes minutes and wants archives; the rest of quickstart wants none.
PREPARE = """
. tools/common.sh
venv_ready
packages lab
python -m zsbm_ironic.lab.images all
"""


class FreshTest(testtools.TestCase):
    """A row each: nothing cached, everything of the README."""

    def root(self, *packages):
        return self.useFixture(fresh_root.FreshRoot(*packages))

    def test_quickstart_both(self):
        root = self.root()
        root.boot()
        began = time.monotonic()
        text = root.run('tools/quickstart', '--both', limit_s=QUICKSTART_S)
        self.keep(quickstart_both_s=round(time.monotonic() - began))
        self.assert_delivered(text, *MACHINES)
        root.run('tools/quickstart', '--remove')
        for name in ('var/lib/zsbm-lab', 'var/cache/zsbm-lab'):
            self.assertFalse((root.path / name).exists(), name)
        running = root.run('ls', '/run/netns')
        self.assertEqual('', running)

    def test_sample_is_green(self):
        root = self.root()
        root.boot()
        text = root.run('tools/test', limit_s=SAMPLE_S)
        self.assertIn(' 0 failed, ', text.strip().splitlines()[-1])

    def test_beside_nginx_and_resolved(self):
        root = self.root('systemd', 'dbus', 'nginx-light', 'systemd-resolved')
        resolver = (root.path / 'etc/resolv.conf').read_text()
        root.boot()
        root.run('bash', '-ec', PREPARE, limit_s=900)
        root.shut_down()
        # A machine of its own, with a network of its own.
        root.boot('systemd', network='own')
        root.run('systemctl', 'start', *SERVICES)
        before = self.services(root)
        text = root.run('tools/quickstart', limit_s=QUICKSTART_S)
        self.assert_delivered(text, MACHINES[0])
        self.assertEqual(before, self.services(root))
        root.run('tools/quickstart', '--remove')
        self.assertEqual(before, self.services(root))
        self.assertEqual(resolver, (root.path / 'etc/resolv.conf').read_text())

    def services(self, root):
        """Return process and state of each service, and who listens."""
        for port in (53, 80):
            address = {53: '127.0.0.53', 80: '127.0.0.1'}[port]
            root.run('bash', '-c', f': < /dev/tcp/{address}/{port}')
        shown = root.run(
            *('systemctl', 'show', '-p', 'Id,MainPID,ActiveState'), *SERVICES
        )
        enabled = root.run(
            *('systemctl', 'list-unit-files', '--state=enabled', '--no-legend')
        )
        self.assertEqual(2, shown.count('ActiveState=active'), shown)
        return shown, enabled

    def assert_delivered(self, text, *machines):
        """Find the answer by SSH and the config drive's marker."""
        for name in machines:
            self.assertRegex(text, rf'(?m)^(\[ *[\d.]+ s\] )?  {name}$')
            self.assertIn(f'marker {name}', text)
        self.assertIn('Delivered:', text)

    def keep(self, **figures):
        """Add figures to the row's result."""
        if 'ZSBM_FIGURES' in os.environ:
            path = pathlib.Path(os.environ['ZSBM_FIGURES'])
            path.write_text(json.dumps(figures))
