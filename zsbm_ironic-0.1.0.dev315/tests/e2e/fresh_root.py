# SPDX-License-Identifier: Apache-2.0
"""A minimal Debian 12 to try the way in: a folder and its own namespaces.

What this host needs to reach its archives (apt's sources and options, pip's
configuration, certificates) is handed over; nothing else of the host is in
it. All mounts and processes are in the namespaces and go with them.
"""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import fixtures

from zsbm_ironic.common import apt, process
from zsbm_ironic.lab.images import debian

TOP = pathlib.Path(__file__).parents[2]
CHECKOUT = '/root/zsbm-ironic'
BUNDLE = '/etc/ssl/host-certificates.crt'
PIP_FILES = ('/etc/pip.conf', '/root/.config/pip/pip.conf')
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

# What is passed on: how to reach archives. Of the certificates' variables
# the value is replaced by the copied bundle.
PASSED = re.compile(r'(PIP|UV)_.*|.*_proxy', re.IGNORECASE)
CERTIFICATES = re.compile(r'SSL_CERT_FILE|REQUESTS_CA_BUNDLE|PIP_CERT')

# $1 the root, $2 its process 1; further words: folders of the host to be
# seen in it, not writable. Process 1 waits for its children, whoever had
# them before.
BOOT = """
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
init=$2
shift 2
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
for folder in "$@"; do
    mkdir -p ".$folder"
    mount --bind -o ro "$folder" ".$folder"
done
ip link set lo up
if [ "$init" = systemd ]; then
    exec env -i container=test PATH="$PATH" chroot . /lib/systemd/systemd \
        --system --unit=multi-user.target --log-target=null
fi
exec chroot . bash -c 'while :; do sleep 1; done' process-1
"""


class FreshRoot(fixtures.Fixture):
    """The folder; `boot` gives it namespaces, `run` a command in them.

    :param packages: Debian packages that this machine has already.
    """

    def __init__(self, *packages):
        super().__init__()
        self._packages = packages
        self._outer = None
        self._pid = None

    def _setUp(self):
        # Not in /tmp, which is often small; it takes some GB.
        self.path = pathlib.Path(
            tempfile.mkdtemp(prefix='zsbm-fresh-', dir='/var/tmp')
        )
        self.path.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.path)
        self.addCleanup(self.shut_down)
        debian.bootstrap(
            self.path / 'root',
            ('apt', *self._packages),
            variant='minbase',
            what='a fresh root',
        )
        self.path /= 'root'
        self._hand_over()
        process.run(
            ['git', 'clone', '-q', TOP, f'{self.path}{CHECKOUT}'],
            timeout_s=120,
        )

    def _hand_over(self):
        etc = self.path / 'etc'
        (etc / 'apt/sources.list').unlink(missing_ok=True)
        stanzas = [one.stanza() for one in apt.sources('bookworm')]
        (etc / 'apt/sources.list.d').mkdir(exist_ok=True)
        (etc / 'apt/sources.list.d/debian.sources').write_text(
            '\n'.join(stanzas)
        )
        (etc / 'apt/apt.conf.d/90host').write_text(
            '\n'.join(apt.host_options()) + '\n'
        )
        for name in ('/etc/resolv.conf', '/etc/hosts', *PIP_FILES):
            target = self.path / name.lstrip('/')
            if pathlib.Path(name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copyfile(name, target)
        (etc / 'hostname').write_text('fresh\n')
        bundle = pathlib.Path('/etc/ssl/certs/ca-certificates.crt')
        (etc / 'ssl').mkdir(exist_ok=True)
        shutil.copyfile(bundle, self.path / BUNDLE.lstrip('/'))

    def environment(self):
        """Return the variables of a log-in, with what is handed over."""
        found = {'HOME': '/root', 'LANG': 'C.UTF-8', 'PATH': PATH}
        for name, value in os.environ.items():
            if CERTIFICATES.fullmatch(name):
                found[name] = BUNDLE
            elif PASSED.fullmatch(name) and name != 'UV_CACHE_DIR':
                found[name] = value
        return found

    def boot(self, init='bash', *, network='host'):
        """Start process 1.

        :param init: bash, or systemd where that is installed.
        :param network: host, or own: nothing but a loopback.
        """
        self._outer = subprocess.Popen(
            [
                *('unshare', '--fork', '--kill-child', '--pid', '--mount'),
                *('--uts', '--ipc', '--cgroup'),
                *(['--net'] if network == 'own' else []),
                *('bash', '-ec', BOOT, 'boot', str(self.path), init),
                *local_folders(),
            ]
        )
        deadline = time.monotonic() + 60
        while not self._booted(init):
            if time.monotonic() > deadline or self._outer.poll() is not None:
                raise RuntimeError(f'{init} did not start')
            time.sleep(0.2)

    def _booted(self, init):
        done = process.run(
            ['ps', '-o', 'pid=,args=', '--ppid', str(self._outer.pid)],
            timeout_s=10,
            check=False,
        )
        self._pid, _, words = done.stdout.strip().partition(' ')
        if init == 'systemd' and words.startswith('/lib/systemd/systemd'):
            state = self.run('systemctl', 'is-system-running', check=False)
            return state.strip() in ('running', 'degraded')
        return init == 'bash' and words.endswith(' process-1')

    def shut_down(self):
        """End all processes in it."""
        if self._outer is not None:
            if self._pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(self._pid), 9)
            self._outer.kill()
            self._outer.wait()
            self._outer = self._pid = None

    def run(self, *argv, limit_s=300, check=True):
        """Run a command in the checkout; return both of its outputs.

        What it prints is shown at once too: it may take many minutes.

        :raises AssertionError: it failed, or took longer than limit_s.
        """
        variables = [f'{k}={v}' for k, v in self.environment().items()]
        words = [
            *('timeout', str(limit_s), 'nsenter', '--target', self._pid),
            *('--mount', '--uts', '--ipc', '--net', '--pid', '--cgroup'),
            *('--root', '--wd'),
            *('env', '-i', f'--chdir={CHECKOUT}', *variables, *argv),
        ]
        lines = []
        with subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
        ) as child:
            for line in child.stdout:
                sys.stderr.write(line)
                lines.append(line)
        text = ''.join(lines)
        if check and child.returncode != 0:
            raise AssertionError(
                f'{" ".join(argv)} ended with {child.returncode}:\n'
                f'{text[-4000:]}'
            )
        return text


def local_folders():
    """Return folders of packages that pip's configuration names."""
    texts = [os.environ.get('PIP_FIND_LINKS', '')]
    for name in PIP_FILES:
        with contextlib.suppress(OSError):
            texts.append(pathlib.Path(name).read_text())
    words = [
        word.removeprefix('file://') for text in texts for word in text.split()
    ]
    folders = {word for word in words if os.path.isdir(word)}
    # An index refers to files beside it.
    return sorted(
        {
            os.path.dirname(folder) if folder.endswith('/simple') else folder
            for folder in folders
            if folder.startswith('/')
        }
    )
