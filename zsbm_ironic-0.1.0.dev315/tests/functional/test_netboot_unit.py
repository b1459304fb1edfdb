# SPDX-License-Identifier: Apache-2.0
"""The shipped unit, started by a real systemd in namespaces of its own.

systemd is process 1 of an overlay over this host's root, which is thrown away
afterwards; users, folders and settings are made as the installation guide
says.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

from oslotest import base

from tests.functional import netboot_bench
from zsbm_ironic.common import process

REPOSITORY = pathlib.Path(__file__).parents[2]
UNIT = REPOSITORY / 'etc/systemd/zsbm-netboot.service'
PROGRAM = pathlib.Path(sys.executable).parent / 'zsbm-netboot'
SYSTEMD = '/lib/systemd/systemd'

# $1 an empty folder, $2 the repository, $3 the virtual environment, $4 the
# interpreter's own folder, which may be in a home that is closed to others.
BOOT = """
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay overlay "$1"/root \
    -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work"
cd "$1"/root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs run
for folder in "$2" "$3"; do
    mount --bind "$folder" ".$folder"
done
folder=$4
while [ "$folder" != / ]; do
    chmod o+x ".$folder"
    folder=$(dirname "$folder")
done
ip link set lo up
ip link add br0 type bridge
ip addr add 198.51.100.1/24 dev br0
ip link set br0 up
chroot . useradd --system --home-dir /var/lib/zsbm-netboot \
    --shell /usr/sbin/nologin --user-group zsbm-netboot
chroot . useradd --system --shell /usr/sbin/nologin --user-group ironic
chroot . usermod --append --groups zsbm-netboot ironic
chroot . install -d -o zsbm-netboot -g zsbm-netboot -m 0750 \
    /var/lib/zsbm-netboot
chroot . install -d -o ironic -g zsbm-netboot -m 2750 \
    /var/lib/zsbm-netboot/desired /httpboot /tftpboot
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . \
    /lib/systemd/systemd --system --unit=basic.target --log-target=console
"""
SETTINGS = """\
[zsbm_netboot]
interface = br0
subnets = cidr:198.51.100.0/24,range:198.51.100.50-198.51.100.99
"""
# The tests' interpreter may be in a home, as above; an installed one is not.
DROP_IN = f"""\
[Service]
ExecStart=
ExecStart={PROGRAM} --config-file /etc/ironic/ironic.conf
ProtectHome=no
"""


class TestUnit(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        if not pathlib.Path(SYSTEMD).exists():
            self.skipTest('no systemd on this host')
        self.folder = tempfile.mkdtemp(prefix='zsbm-unit-', dir='/var/tmp')
        self.addCleanup(shutil.rmtree, self.folder)
        with (pathlib.Path(self.folder) / '../zsbm-unit.log').open('w') as log:
            self.addCleanup(pathlib.Path(log.name).unlink)
            self.outer = subprocess.Popen(
                [
                    *('unshare', '--fork', '--kill-child', '--pid', '--mount'),
                    *('--uts', '--ipc', '--cgroup', '--net'),
                    *('bash', '-ec', BOOT, 'boot', self.folder),
                    *(str(REPOSITORY), sys.prefix, sys.base_prefix),
                ],
                stdout=log,
                stderr=log,
            )
        self.addCleanup(self.outer.wait)
        self.addCleanup(self.outer.kill)
        netboot_bench.wait_for(self.booted, 60)

    def booted(self):
        done = process.run(
            ['ps', '-o', 'pid=,comm=', '--ppid', str(self.outer.pid)],
            timeout_s=10,
            check=False,
        )
        pid, _space, name = done.stdout.strip().partition(' ')
        if name.strip() != 'systemd':
            return False
        self.pid = pid
        state = self.inside('systemctl', 'is-system-running')
        return state.strip() in ('running', 'degraded')

    def inside(self, *argv, stdin=None):
        return process.run(
            [
                *('nsenter', '--target', self.pid, '--mount', '--uts'),
                *('--ipc', '--net', '--pid', '--cgroup', '--root', '--wd'),
                *argv,
            ],
            timeout_s=30,
            stdin=stdin,
            check=False,
        ).stdout

    def write(self, path, text):
        self.inside('mkdir', '-p', str(pathlib.Path(path).parent))
        self.inside('tee', path, stdin=text)

    def heartbeat_of_ironic(self):
        """Return the heartbeat as the conductor's user reads it."""
        return self.inside(
            *('runuser', '-u', 'ironic', '--', 'cat'),
            '/var/lib/zsbm-netboot/status/service.json',
        )

    def pids(self):
        group = '/sys/fs/cgroup/system.slice/zsbm-netboot.service'
        return self.inside('cat', f'{group}/cgroup.procs').split()

    def test_it_starts_serves_is_restarted_and_stops(self):
        self.write('/etc/ironic/ironic.conf', SETTINGS)
        system = '/etc/systemd/system'
        self.write(f'{system}/zsbm-netboot.service', UNIT.read_text())
        self.write(f'{system}/zsbm-netboot.service.d/test.conf', DROP_IN)
        self.inside('systemctl', 'daemon-reload')
        self.inside('systemctl', 'start', 'zsbm-netboot')
        try:
            netboot_bench.wait_for(
                lambda: '"problems": []' in self.heartbeat_of_ironic(), 20
            )
        except AssertionError as exc:
            state = self.inside('systemctl', 'status', '-l', 'zsbm-netboot')
            raise AssertionError(state) from exc
        self.assert_rights()
        first = set(self.pids())
        self.inside('systemctl', 'kill', '-s', 'KILL', 'zsbm-netboot')
        netboot_bench.wait_for(
            lambda: len(self.pids()) >= 4 and not first & set(self.pids()), 60
        )
        self.inside('systemctl', 'stop', 'zsbm-netboot')
        self.assertEqual([], self.pids())
        state = self.inside('systemctl', 'show', '-P', 'Result,ActiveState')
        self.assertNotIn('failed', state)

    def assert_rights(self):
        user = self.inside('id', '-u', 'zsbm-netboot').strip()
        self.assertGreaterEqual(len(self.pids()), 4)
        for pid in self.pids():
            text = self.inside('cat', f'/proc/{pid}/status')
            facts = dict(line.split(':\t', 1) for line in text.splitlines())
            self.assertEqual([user] * 4, facts['Uid'].split())
            wanted = 1 << 10 | 1 << 12 | 1 << 13
            for kind in ('CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
                self.assertEqual(wanted, int(facts[kind], 16), kind)
            self.assertEqual('1', facts['NoNewPrivs'])
