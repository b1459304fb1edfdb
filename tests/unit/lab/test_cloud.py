# SPDX-License-Identifier: Apache-2.0
"""What a cloud of the lab is made of; a whole one is in tests/e2e."""

import contextlib
import functools
import importlib.resources
import json
import pathlib
import re
import stat
import types
from typing import Any

import fixtures
import testtools

from zsbm_ironic.lab import layout
from zsbm_ironic.lab.cloud import (
    api,
    environment,
    glance,
    hypervisor,
    keystone,
    neutron,
    nova,
    passwords,
    placement,
    vpc,
    world,
)

ROOM = importlib.resources.files('zsbm_ironic.lab.cloud')
PIN = re.compile(r'^([A-Za-z0-9._-]+)==[\w.!+-]+')


def _pinned(name: str) -> set[str]:
    lines = ROOM.joinpath(name).read_text().splitlines()
    found = (PIN.match(line) for line in lines)
    return {re.sub(r'[-_.]+', '-', one[1]).lower() for one in found if one}


class LockTest(testtools.TestCase):
    def test_all_is_pinned(self) -> None:
        text = ROOM.joinpath('requirements.txt').read_text()
        lines = [
            line
            for line in text.splitlines()
            if line.strip() and not line.lstrip().startswith('#')
        ]
        self.assertEqual(len(lines), len(_pinned('requirements.txt')))

    def test_what_was_asked_for_is_in_it(self) -> None:
        asked = _pinned('requirements.in')
        self.assertIn('nova', asked)
        self.assertLessEqual(asked, _pinned('requirements.txt'))


class PasswordsTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.path = pathlib.Path(folder, 'passwords.json')

    def test_each_has_one_of_its_own_and_keeps_it(self) -> None:
        first = passwords.load(self.path, world.PASSWORDS)
        self.assertEqual(len(first), len(set(first.values())))
        again = passwords.load(self.path, [*world.PASSWORDS, 'another'])
        self.assertEqual(first, {name: again[name] for name in first})
        self.assertIn('another', again)

    def test_nobody_else_reads_them(self) -> None:
        passwords.load(self.path, ['admin'])
        self.assertEqual(0o600, stat.S_IMODE(self.path.stat().st_mode))


class CloudTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.site = api.Site(
            self.state,
            environment.Environment(pathlib.Path('/venv')),
            {name: f'secret of {name}' for name in world.PASSWORDS},
        )


class ProcessesTest(CloudTest):
    def test_no_password_is_in_a_command_line_or_a_variable(self) -> None:
        found = [
            one
            for room in (keystone, placement, glance, neutron, nova)
            for one in room.daemons(self.site)
        ]
        found += nova.computes(self.site)
        found += hypervisor.daemons(self.site.vm_host)
        for one in found:
            words = ' '.join([*one.argv, *one.env.values()])
            self.assertNotIn('secret', words, one.name)

    def test_each_has_a_name_of_its_own(self) -> None:
        found = [*nova.daemons(self.site), *nova.computes(self.site)]
        found += neutron.daemons(self.site)
        names = [one.name for one in found]
        self.assertEqual(len(names), len(set(names)))
        self.assertIn('nova-metadata', names)

    def test_what_is_on_the_host_of_vms(self) -> None:
        found = [*neutron.daemons(self.site), *nova.computes(self.site)]
        found += hypervisor.daemons(self.site.vm_host)
        host = self.site.vm_host
        self.assertEqual(
            ['neutron-ovn-agent', 'nova-compute-vm', 'virtlogd', 'libvirtd'],
            [one.name for one in found if one.namespace == host.namespace],
        )


class VmHostTest(CloudTest):
    def test_it_knows_no_database(self) -> None:
        options = nova.vm_settings(self.site, 'tcg')
        self.assertNotIn('secret of database', str(options))
        self.assertIn('secret of database', str(self.site.database('nova')))

    def test_nothing_is_started_by_sudo(self) -> None:
        options = nova.vm_settings(self.site, 'tcg')
        # Contexts of nova 34, os-vif 5 and os-brick 7.
        for section in (
            'nova_sys_admin',
            'vif_plug_ovs_privileged',
            'privsep_osbrick',
        ):
            command = options[section]['helper_command']
            self.assertEqual('/venv/bin/privsep-helper', command.split()[0])
        agent = neutron.agent_settings(self.site)
        self.assertEqual('env', agent['agent']['root_helper'])

    def test_its_libvirt_is_the_lab_s(self) -> None:
        hypervisor.prepare(self.site.vm_host, 'tcg', [])
        for one in hypervisor.daemons(self.site.vm_host):
            own = [
                word.removeprefix('--own=').partition('=')
                for word in one.argv
                if word.startswith('--own=')
            ]
            self.assertIn('/run/libvirt', [place for place, _, _ in own])
            for _, _, path in own:
                self.assertTrue(pathlib.Path(path).exists(), path)
                self.assertIn(self.state, pathlib.Path(path).parents)
        self.assertIn(
            f'={self.state}/cloud/', hypervisor.uri(self.site.vm_host)
        )

    def test_its_guests_run_as_a_user_that_down_looks_for(self) -> None:
        hypervisor.prepare(self.site.vm_host, 'kvm', [107])
        root = self.site.vm_host.root / 'libvirt'
        user = (root / 'passwd').read_text().splitlines()[1].split(':')
        self.assertEqual('libvirt-qemu', user[0])
        self.assertIn(int(user[2]), layout.UIDS)
        self.assertIn(':107:libvirt-qemu', (root / 'group').read_text())

    def test_a_guest_is_fast_where_it_can_be(self) -> None:
        for accelerator, kind in (('kvm', 'kvm'), ('tcg', 'qemu')):
            options = hypervisor.nova_settings(self.site.vm_host, accelerator)
            self.assertEqual(kind, options['virt_type'])

    def test_both_sides_sign_metadata_with_the_same_secret(self) -> None:
        agent = neutron.agent_settings(self.site)['DEFAULT']
        common = nova.vm_settings(self.site, 'tcg')['neutron']
        self.assertEqual(
            common['metadata_proxy_shared_secret'],
            agent['metadata_proxy_shared_secret'],
        )


class VpcTest(testtools.TestCase):
    def test_addresses_are_left_for_whoever_comes_by_hand(self) -> None:
        self.assertEqual(('10.0.1.10', '10.0.1.199'), vpc.pool('10.0.1.0/24'))

    def test_networks_of_the_cloud_do_not_meet(self) -> None:
        cidrs = [world.FLAT_CIDR, layout.PROVISIONING_CIDR]
        cidrs += vpc.CIDRS.values()
        self.assertEqual(len(cidrs), len({vpc.pool(one)[0] for one in cidrs}))

    def test_only_rules_that_are_missing_are_made(self) -> None:
        cidrs = ['203.0.113.0/24', '10.0.1.0/24']
        first = list(vpc.missing([], cidrs))
        self.assertEqual(4, len(first))
        self.assertEqual([], list(vpc.missing(first, cidrs)))
        # What Neutron itself has in a new group.
        own = {
            'direction': 'egress',
            'protocol': None,
            'remote_ip_prefix': None,
        }
        self.assertEqual(first[1:], list(vpc.missing([own, first[0]], cidrs)))


class DescriptionTest(CloudTest):
    def test_there_is_none_before_there_is_a_cloud(self) -> None:
        self.assertIsNone(world.describe(self.state))

    def test_it_names_what_clouds_yaml_has(self) -> None:
        (self.state / 'cloud').mkdir()
        path = world.write_clouds(self.site)
        told = json.loads(json.dumps(world.describe(self.state)))
        clouds = json.loads(path.read_text())['clouds']
        self.assertEqual(list(clouds), told['clouds'])
        self.assertEqual(str(path), told['clouds_file'])
        self.assertLessEqual({'flat', 'vpc-a', 'vpc-b'}, {*told['networks']})
        self.assertEqual('vm', told['vm_host']['name'])
        self.assertNotIn('secret', str(told))


class _Cut(Exception):
    """Whoever makes the world was interrupted."""


class _World:
    """As much of a cloud as keeps what is made, for both of its proxies.

    :param most: how much is made before it is interrupted; None: all.
    """

    def __init__(self) -> None:
        self.identity = self.network = self
        self.most: int | None = None
        self.kept: dict[str, list[types.SimpleNamespace]] = {
            f'{kind}s': []
            for kind in ('endpoint', 'network', 'project', 'role')
            + ('service', 'subnet', 'user')
        }
        for name in ('admin', 'member'):
            self._make('role', name=name)
        self._make('user', name='admin')

    def _make(self, kind: str, **said: Any) -> types.SimpleNamespace:
        if self.most is not None:
            if self.most == 0:
                raise _Cut
            self.most -= 1
        some = self.kept[f'{kind}s']
        some.append(types.SimpleNamespace(id=f'{kind}-{len(some)}', **said))
        return some[-1]

    def __getattr__(self, name: str) -> Any:
        verb, _, kind = name.partition('_')
        if verb == 'create':
            return functools.partial(self._make, kind)
        if verb == 'assign':
            return lambda *_words: None
        return lambda: list(self.kept[name])

    def update_network(
        self, network: types.SimpleNamespace, **said: Any
    ) -> None:
        vars(network).update(said)

    def counted(self) -> dict[str, int]:
        return {kind: len(some) for kind, some in self.kept.items()}


class WorldTest(CloudTest):
    def make(self, cloud: Any) -> None:
        world._make_accounts(self.site, cloud)
        world._make_networks(cloud, leased=False)

    def test_what_was_interrupted_is_taken_up(self) -> None:
        whole = _World()
        self.make(whole)
        wanted = whole.counted()
        self.assertEqual(3 * len(world.SERVICES), wanted['endpoints'])
        self.assertEqual(2, wanted['subnets'])
        for most in range(sum(wanted.values())):
            cloud = _World()
            cloud.most = most
            with contextlib.suppress(_Cut):
                self.make(cloud)
            cloud.most = None
            self.make(cloud)
            self.assertEqual(wanted, cloud.counted(), most)

    def test_a_flat_network_of_an_older_lab_becomes_the_way_out(self) -> None:
        cloud = _World()
        cloud._make('network', name=world.FLAT, is_router_external=False)
        self.make(cloud)
        self.assertTrue(cloud.kept['networks'][0].is_router_external)
