# SPDX-License-Identifier: Apache-2.0
"""An OS that ran somewhere gets an identity of its own, on a real disk."""

import pathlib
import uuid

import fixtures
import testtools
from cryptography.hazmat.primitives import serialization

from tests.unit.image import made_up
from zsbm_ironic.common import artifacts, process
from zsbm_ironic.image import (
    adapt,
    hardware,
    identity,
    supplies,
    tree,
    volumes,
)
from zsbm_ironic.lab.images import disk

OLD_ID = uuid.UUID(int=7).hex
CLOUD = 'var/lib/cloud/instances/i-1'
RAN = {
    'etc/machine-id': f'{OLD_ID}\n',
    'var/lib/dbus/machine-id': f'{OLD_ID}\n',
    'etc/ssh/ssh_host_rsa_key': 'old',
    'etc/ssh/ssh_host_rsa_key.pub': 'old',
    'etc/ssh/ssh_host_ed25519_key': 'old',
    'etc/ssh/ssh_host_ed25519_key.pub': 'old',
    'etc/ssh/ssh_host_ed25519_key-cert.pub': 'old',
    'etc/ssh/ssh_host_dsa_key': 'old',
    'etc/ssh/moduli': 'for everybody',
    'etc/hostname': 'web\n',
    'etc/hosts': '127.0.0.1 localhost\n127.0.1.1 web.example.org web\n'
    '192.0.2.1 web\n',
    'var/lib/dhcp/dhclient.ens3.leases': 'lease {}\n',
    f'{CLOUD}/user-data.txt': '#cloud-config\npassword: secret\n',
    f'{CLOUD}/obj.pkl': 'pickle',
    'var/lib/cloud/data/instance-id': 'i-1\n',
    'var/lib/systemd/random-seed': 's' * 32,
    'etc/iscsi/initiatorname.iscsi': '# own\n'
    'InitiatorName=iqn.1993-08.org.debian:01:aaaaaaaaaaaa\n',
    'etc/nvme/hostnqn': 'nqn.2014-08.org.nvmexpress:uuid:old\n',
    'etc/nvme/hostid': 'old\n',
}


class IdentityTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.image = made_up.Image(self.folder)
        self.image.files |= {path: text.encode() for path, text in RAN.items()}

    def adapt(self, hostname: str | None) -> list[str]:
        """Return what the report says of identity."""
        self.disk = self.image.write()
        cache = artifacts.Artifacts(self.folder / 'cache')
        report = adapt.adapt(
            self.disk,
            [hardware.PROFILES['bios-sata']],
            supplies.Fetched(cache),
            mount=False,
            hostname=hostname,
        )
        return [one.what for one in report.changes if one.key == 'identity']

    def text(self, path: str) -> str:
        files = volumes.read(self.disk).volumes[0].files()
        assert files is not None
        return tree.text(files, path)

    def test_all_of_it(self) -> None:
        self.assertEqual(7, len(self.adapt('db-7')))
        for path, old in RAN.items():
            if path != 'etc/ssh/moduli':
                self.assertNotEqual(old, self.text(path), path)
        machine_id = self.text('/etc/machine-id')
        self.assertEqual(machine_id, self.text('/var/lib/dbus/machine-id'))
        self.assertEqual(uuid.UUID(machine_id.strip()).hex, machine_id.strip())
        self.assertEqual('db-7\n', self.text('/etc/hostname'))
        self.assertEqual(
            '127.0.0.1 localhost\n127.0.1.1 db-7.example.org db-7\n'
            '192.0.2.1 web\n',
            self.text('/etc/hosts'),
        )
        for path in (
            '/etc/ssh/ssh_host_dsa_key',
            '/etc/ssh/ssh_host_ed25519_key-cert.pub',
            f'/{CLOUD}/user-data.txt',
            f'/{CLOUD}/obj.pkl',
            '/var/lib/dhcp/dhclient.ens3.leases',
        ):
            self.assertEqual('', self.text(path), path)
        self.assertEqual('for everybody', self.text('/etc/ssh/moduli'))
        self.assertEqual(
            'none\n', self.text('/var/lib/cloud/data/instance-id')
        )
        self.assertRegex(
            self.text('/etc/iscsi/initiatorname.iscsi'),
            r'^# own\nInitiatorName=iqn.1993-08.org.debian:01:[0-9a-f]{12}$',
        )
        self.assertIn(
            self.text('/etc/nvme/hostid').strip(),
            self.text('/etc/nvme/hostnqn'),
        )
        process.run(
            ['e2fsck', '-f', '-n', f'{self.disk}?offset={disk.MIB}'],
            timeout_s=30,
        )

    def test_keys_are_pairs(self) -> None:
        self.adapt('db-7')
        for kind in ('rsa', 'ed25519'):
            path = f'/etc/ssh/ssh_host_{kind}_key'
            private = serialization.load_ssh_private_key(
                self.text(path).encode(), None
            )
            public = private.public_key().public_bytes(
                serialization.Encoding.OpenSSH,
                serialization.PublicFormat.OpenSSH,
            )
            self.assertEqual(
                f'{public.decode()} root@db-7\n', self.text(f'{path}.pub')
            )

    def test_no_two_are_alike(self) -> None:
        seen = set()
        for name in ('one', 'two'):
            self.adapt(name)
            seen |= {self.text(path) for path in RAN if self.text(path)}
        paths = [path for path in RAN if self.text(path)]
        # Two things are the same on both, one ID is in two files of each.
        self.assertEqual(2 * (len(paths) - 1) - 2, len(seen))

    def test_kept_for_a_restore(self) -> None:
        self.assertEqual([], self.adapt(None))
        for path, old in RAN.items():
            self.assertEqual(old, self.text(path), path)

    def test_one_that_never_ran(self) -> None:
        self.image.files = {
            path: data
            for path, data in self.image.files.items()
            if path not in RAN
        } | {'etc/machine-id': b'uninitialized\n'}
        self.assertEqual([], self.adapt('db-7'))

    def test_cloud_init_names_it(self) -> None:
        self.image.files['etc/cloud/cloud.cfg'] = b'users: [default]\n'
        self.adapt('db-7')
        self.assertEqual('web\n', self.text('/etc/hostname'))

    def test_ignition_runs_once_more(self) -> None:
        module = 'usr/lib/dracut/modules.d/30ignition/module-setup.sh'
        self.image.files[module] = b''
        self.assertIn(
            'the first start of Ignition is new: /boot/ignition.firstboot',
            self.adapt('db-7'),
        )
        files = volumes.read(self.disk).volumes[0].files()
        assert files is not None
        self.assertTrue(tree.exists(files, '/boot/ignition.firstboot'))

    def test_ignition_has_yet_to_run(self) -> None:
        module = 'usr/lib/dracut/modules.d/30ignition/module-setup.sh'
        self.image.files |= {module: b'', 'boot/ignition.firstboot': b''}
        self.assertEqual(7, len(self.adapt('db-7')))

    def test_labels(self) -> None:
        for name, expected in (
            ('Web_3.example.org', 'web-3'),
            ('-a b-', 'a-b'),
            ('x' * 80, 'x' * 63),
            ('\u4e1c', ''),
        ):
            self.assertEqual(expected, identity.label(name))
