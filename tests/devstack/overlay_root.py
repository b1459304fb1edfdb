# SPDX-License-Identifier: Apache-2.0
"""This machine under an overlay: what a program writes is seen, and goes.

devstack writes all over a machine and has `sudo` for it. In here it is the
ordinary user `stack`, as on its own machines; files of the host are below an
overlay and stay as they are. Each run has mounts and processes of its own,
which end with it. What is installed, or asked of the kernel and of services
that are not there, is recorded by programs that stand in the way. No systemd
listens: systemctl works on files alone.
"""

import hashlib
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

import fixtures

HOME = '/opt/stack'
USER = 'stack'
RECORD = f'{HOME}/recorded'
# What devstack installs with, Apache's own programs, what would change this
# machine's network, and the client of services that do not run.
RECORDED = (
    'a2dismod',
    'a2dissite',
    'a2enmod',
    'a2ensite',
    'a2query',
    'add-apt-repository',
    'apt-get',
    'edit-constraints',
    'ip6tables',
    'iptables',
    'modprobe',
    'openstack',
    'pip',
    'systemd-tmpfiles',
)
RECORDER = f"""#!/bin/sh
printf '%s %s\\n' "${{0##*/}}" "$*" >> {RECORD}
"""
SUDOERS = f"""{USER} ALL=(root) NOPASSWD:ALL
Defaults:{USER} secure_path={{path}}
Defaults:{USER} env_keep += SYSTEMD_OFFLINE
"""
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
ENTER = """
mount --make-rprivate /
folder=$1 programs=$2
shift 2
root=$folder/root
mount -t overlay overlay \
    -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
for name in dev sys; do
    mount --rbind "/$name" "$root/$name"
done
mount -t proc proc "$root/proc"
ip link set lo up
mkdir -p "$root$programs"
mount --bind "$programs" "$root$programs"
exec chroot "$root" "$@"
"""
LIMIT_S = 1200


class OverlayRoot(fixtures.Fixture):
    """A machine to run devstack on; the first commands make its user.

    :param network: host, or own: each run has nothing but a loopback.
    """

    def __init__(self, network='host'):
        super().__init__()
        self._network = network

    def _setUp(self):
        # Not in /tmp, which is often a tmpfs that no overlay can be on.
        self.folder = pathlib.Path(
            tempfile.mkdtemp(prefix='zsbm-devstack-', dir='/var/tmp')
        )
        self.addCleanup(shutil.rmtree, self.folder)
        self.folder.chmod(0o755)
        for name in ('root', 'upper', 'work'):
            (self.folder / name).mkdir()
        self.upper = self.folder / 'upper'
        self.as_root(
            'sh',
            '-ec',
            f'useradd --create-home --home-dir {HOME} --shell /bin/bash '
            f'{USER}; chmod 0755 {HOME}; '
            # Folders of packages that are not installed.
            'mkdir -p /etc/apache2/sites-available /etc/libvirt',
        )
        self.put('/etc/sudoers.d/50_stack', SUDOERS.format(path=PATH), 0o440)
        for name in RECORDED:
            self.put(f'/usr/local/bin/{name}', RECORDER, 0o755)
        self.put(RECORD, '', 0o666)

    def path(self, name):
        """Return where a file that was written in here is on the host."""
        return self.upper / name.lstrip('/')

    def put(self, name, text, mode=0o644):
        """Write a file."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def give(self, name):
        """Make a folder and all in it the user's."""
        self.as_root('chown', '-R', f'{USER}:{USER}', name)

    def read(self, name):
        """Return the text of a file that was written in here."""
        return self.path(name).read_text()

    def recorded(self, program):
        """Return the arguments of each call of a program, oldest first."""
        calls = (line.partition(' ') for line in self.read(RECORD).split('\n'))
        return [words for name, _, words in calls if name == program]

    def as_root(self, *argv):
        """Run a command as root; return what it printed."""
        return self._run(argv)

    def as_user(self, *argv, check=True, **variables):
        """Run a command as the user `stack`, in a log-in's environment."""
        words = [
            *('setpriv', f'--reuid={USER}', f'--regid={USER}'),
            *('--init-groups', '--', 'env', '-i', f'HOME={HOME}'),
            *(f'USER={USER}', f'PATH={PATH}', 'LANG=C.UTF-8'),
            'SYSTEMD_OFFLINE=1',
            *(f'{name}={value}' for name, value in variables.items()),
            *argv,
        ]
        return self._run(words, check)

    def _run(self, argv, check=True):
        done = subprocess.run(
            [
                *('unshare', '--mount', '--pid', '--fork', '--kill-child'),
                *(['--net'] if self._network == 'own' else []),
                *('sh', '-ec', ENTER, 'enter', self.folder, sys.prefix),
                *argv,
            ],
            cwd='/',
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            timeout=LIMIT_S,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f'{argv[-3:]} ended with {done.returncode}:\n'
                f'{done.stdout[-6000:]}'
            )
        return done.stdout

    def written(self):
        """Return what is other than on the host: {path: what it is}.

        Of a folder that is there too only owner and mode count.
        """
        found = {}
        for folder, folders, files in os.walk(self.upper):
            for name in (*folders, *files):
                path = pathlib.Path(folder, name)
                shown = '/' + str(path.relative_to(self.upper))
                what = _what(path)
                if what != _what(pathlib.Path(shown)):
                    found[shown] = what
        return found


def _what(path):
    """Return type, mode, owner and content of a file, or None."""
    try:
        info = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
        return 'deleted'
    content = ''
    if stat.S_ISLNK(info.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    return stat.filemode(info.st_mode), info.st_uid, info.st_gid, content
