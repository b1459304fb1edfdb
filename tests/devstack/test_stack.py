# SPDX-License-Identifier: Apache-2.0
"""stack.sh itself, from our sample: a deployed server, and the way back.

In a Debian 12 of its own with a systemd as process 1: Keystone, Ironic and
our plugin, unchanged scripts of devstack, a QEMU server that is deployed.
The network is that of the machine, which packages come by: run it where
nothing else has the ports of Apache, MySQL and DHCP.
"""

import os
import pathlib
import re
import shutil
import subprocess

import testtools

from tests.devstack import sources
from tests.e2e import fresh_root

PACKAGES = (
    'ca-certificates',
    'dbus',
    'git',
    'iproute2',
    'lsb-release',
    'python3',
    'sudo',
    'systemd',
    'systemd-sysv',
    'udev',
)
HOME = '/opt/stack'
DEVSTACK = f'{HOME}/devstack'
GIT_BASE = f'{HOME}/repositories'
PLUGIN = f'{GIT_BASE}/zsbm-ironic'
BAREMETAL = (
    f'{HOME}/data/venv/bin/openstack --os-cloud devstack-system-admin '
    'baremetal'
)
# What a systemd does to the host: names of its network interfaces, modes of
# its devices, sysctl, what it starts programs with, a log-in on its console.
MASKED = (
    'getty.target',
    'systemd-binfmt.service',
    'systemd-modules-load.service',
    'systemd-sysctl.service',
    'systemd-udev-trigger.service',
    'systemd-udevd-control.socket',
    'systemd-udevd-kernel.socket',
    'systemd-udevd.service',
)
# What packages set there by themselves.
CORE_PATTERN = pathlib.Path('/proc/sys/kernel/core_pattern')
KVM = pathlib.Path('/dev/kvm')
LOCALRC = f"""
ENABLE_KSM=False
ENABLE_KSMTUNED=False
HOST_IP=127.0.0.1
GIT_BASE=file://{GIT_BASE}
IRONIC_VM_COUNT=1
VERBOSE_NO_TIMESTAMP=True
LOGFILE={HOME}/logs/stack.log
"""
# lib/ironic builds a dnsmasq of a git repository unless it did; Debian's does.
USER = f"""
useradd --create-home --home-dir {HOME} --shell /bin/bash stack
chmod 0755 {HOME}
touch {HOME}/.patched-dnsmasq
echo 'stack ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/stack
chown -R stack:stack {HOME}
"""
# The image is where the conductor may read it: beside the ramdisk. Of which
# type a file is has to be told.
DEPLOY = f"""
set -e
image=$(sudo {HOME}/data/venv/bin/python3 -m zsbm_ironic.lab.images os \
    --cache {HOME}/data/zsbm-ironic/cache)
path=$(jq -er .os.path <<< "$image")
sudo install -o stack -m 0644 "$path" {DEVSTACK}/files/os-image
{BAREMETAL} node set node-0 \
    --instance-info image_source=file://{DEVSTACK}/files/os-image \
    --instance-info image_type=whole-disk \
    --instance-info image_checksum=$(jq -er .os.sha256 <<< "$image")
{BAREMETAL} node deploy node-0 --wait 1500
{BAREMETAL} node show node-0 -f value -c provision_state
"""
STACK_S = 40 * 60
DEPLOY_S = 30 * 60
BACK_S = 600
LINKS = ('brbm', 'zsbm-bmc', 'tap0.0')
# Lines of these about what is ours.
SHOWN = (
    ('ps', '-eo', 'args='),
    ('findmnt', '-rno', 'TARGET'),
    ('losetup', '--all'),
    ('ip', '-o', 'link', 'show'),
)
NAMES = '${Package}\n'
OURS = re.compile(
    rf'qemu-system|zsbm-netboot|bin/zsbm-|zsbm_ironic|{HOME}/data/'
    rf'|: ({"|".join(LINKS)})[:@]'
)


class StackTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('only root makes namespaces')
        devstack = sources.devstack()
        if devstack is None:
            self.skipTest('set DEVSTACK_DIR to a checkout of devstack')
        self.root = self.useFixture(fresh_root.FreshRoot(*PACKAGES))
        self.addCleanup(self.delete_links)
        self.addCleanup(CORE_PATTERN.write_text, CORE_PATTERN.read_text())
        if KVM.exists():
            was = KVM.stat()
            self.addCleanup(os.chown, KVM, was.st_uid, was.st_gid)
        self.prepare(devstack)
        self.root.boot('systemd')

    def prepare(self, devstack):
        """Put devstack, our plugin and local.conf where stack.sh runs."""
        inside = self.root.path
        shutil.copytree(
            devstack,
            inside / DEVSTACK.lstrip('/'),
            ignore=shutil.ignore_patterns('local.conf', 'localrc'),
        )
        sources.make_repositories(inside / GIT_BASE.lstrip('/'))
        plugin = inside / PLUGIN.lstrip('/')
        plugin.mkdir(parents=True)
        sources.copy_of_checkout(plugin)
        sources.make_repository(plugin)
        sample = (sources.TOP / 'devstack/local.conf.sample').read_text()
        text = re.sub(r'https://\S+/zsbm-ironic', PLUGIN, sample)
        text = re.sub(
            r'https://\S+/ironic', f'{GIT_BASE}/openstack/ironic.git', text
        )
        (inside / DEVSTACK.lstrip('/') / 'local.conf').write_text(
            text + LOCALRC
        )
        subprocess.run(['chroot', inside, 'sh', '-ec', USER], check=True)
        for name in MASKED:
            (inside / 'etc/systemd/system' / name).symlink_to('/dev/null')

    def delete_links(self):
        """Delete what a stack.sh that failed leaves on the machine."""
        for name in LINKS:
            subprocess.run(
                ['ip', 'link', 'delete', name],
                stderr=subprocess.DEVNULL,
                check=False,
            )

    def as_stack(self, script, limit_s):
        """Run a script as the user that devstack wants."""
        return self.root.run(
            *('runuser', '-u', 'stack', '--', 'env', f'HOME={HOME}'),
            *('bash', '-c', f'cd {DEVSTACK}; {script}'),
            limit_s=limit_s,
        )

    def beside_files(self):
        """Return what shows our processes, mounts, loop devices and links."""
        return [
            line
            for words in SHOWN
            for line in self.root.run(*words).splitlines()
            if OURS.search(line)
        ]

    def test_stack_sh(self):
        self.as_stack('./stack.sh', STACK_S)
        state = self.as_stack(
            f'{BAREMETAL} node show node-0 -f value -c provision_state', 60
        )
        self.assertEqual('available', state.split()[-1])
        deployed = self.as_stack(DEPLOY, DEPLOY_S)
        self.assertEqual('active', deployed.split()[-1])
        seen = '\n'.join(self.beside_files())
        for name in (*LINKS, 'qemu-system', 'zsbm-netboot'):
            self.assertIn(name, seen)
        self.as_stack('./unstack.sh', BACK_S)
        self.assertEqual([], self.beside_files())
        self.as_stack('./clean.sh', BACK_S)
        self.assertEqual([], self.beside_files())
        for name in (
            'etc/zsbm-ironic',
            f'{HOME}/data/zsbm-ironic',
            'etc/systemd/system/devstack@zsbm-netboot.service',
            'var/lib/ironic/zsbm-certificates',
        ):
            self.assertFalse((self.root.path / name.lstrip('/')).exists())
        self.assertNotIn('zsbm', (self.root.path / 'etc/passwd').read_text())
        self.assertNotIn('\nshim\n', self.root.run('dpkg-query', '-Wf', NAMES))
