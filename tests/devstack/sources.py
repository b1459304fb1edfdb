# SPDX-License-Identifier: Apache-2.0
"""Where devstack's files come from: a checkout, and sdists of PyPI."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from zsbm_ironic.common import artifacts
from zsbm_ironic.lab import layout

TOP = pathlib.Path(__file__).parents[2]
CONSTRAINTS = TOP / 'constraints.txt'
CLOUD = TOP / 'zsbm_ironic/lab/cloud/requirements.txt'
# It has edit-constraints; its lists are older than what it is used with, and
# it needs a module that setuptools had until then.
REQUIREMENTS_TOOL = '1.2.0'
SETUPTOOLS = 'setuptools<81'
KIND = 'sdist'
DOWNLOAD_S = 300


def devstack():
    """Return the checkout that $DEVSTACK_DIR names, None without one.

    :raises ValueError: it names something else.
    """
    given = os.environ.get('DEVSTACK_DIR')
    if not given:
        return None
    path = pathlib.Path(given).resolve()
    if not (path / 'functions-common').is_file():
        raise ValueError(
            f'DEVSTACK_DIR={given} is no checkout of devstack: clone '
            'openstack/devstack and name that folder'
        )
    return path


def ironic():
    """Return ironic's source at the version of constraints.txt."""
    return sdist('ironic', pins(CONSTRAINTS)['ironic'])


def sdist(name, version):
    """Return the source of a release on PyPI, kept in the lab's cache.

    OpenStack's git repositories have the same files at that release, and
    history.
    """
    cache = artifacts.Artifacts(layout.Layout.from_environment().cache)
    folder = cache.get(
        KIND,
        f'{name}-{version}',
        lambda where, _: _fetch(f'{name}=={version}', where),
    )
    (found,) = folder.iterdir()
    return found


def pins(path):
    """Return {name: version} of a lock file."""
    return dict(re.findall(r'^([\w.-]+)==(\S+)$', path.read_text(), re.M))


def _fetch(what, where):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, '-m', 'pip', '-q', 'download'),
                *('--no-deps', '--no-binary', ':all:', '-d', folder, what),
            ],
            timeout=DOWNLOAD_S,
            check=True,
        )
        (archive,) = pathlib.Path(folder).glob('*.tar.gz')
        # tar makes no file outside of the folder, whatever a name says.
        subprocess.run(
            ['tar', '-x', '--no-same-owner', '-f', archive, '-C', where],
            check=True,
        )


def make_repositories(folder):
    """Make what stack.sh clones of OpenStack below a folder, for GIT_BASE.

    Keystone and ironic of the releases that the lab runs; requirements with
    the tool of its own and the locks of the lab as upper constraints.
    """
    locked = {**pins(CONSTRAINTS), **pins(CLOUD)}
    releases = {
        'ironic': locked['ironic'],
        'keystone': locked['keystone'],
        'openstack-requirements': REQUIREMENTS_TOOL,
    }
    for name, version in releases.items():
        plain = name.removeprefix('openstack-')
        target = folder / 'openstack' / f'{plain}.git'
        shutil.copytree(sdist(name, version), target)
        if plain == 'requirements':
            for file, form in (
                ('upper-constraints.txt', '{}==={}\n'),
                ('global-requirements.txt', '{}\n'),
            ):
                (target / file).write_text(
                    ''.join(form.format(*pin) for pin in locked.items())
                )
            with (target / 'requirements.txt').open('a') as file:
                file.write(f'{SETUPTOOLS}\n')
        make_repository(target)


def copy_of_checkout(target):
    """Copy what git would commit of this checkout to a folder."""
    listed = subprocess.run(
        ['git', 'ls-files', '-z', '-c', '-o', '--exclude-standard'],
        cwd=TOP,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in filter(None, os.fsdecode(listed.stdout).split('\0')):
        source = TOP / name
        if source.is_file():
            copied = target / name
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(source.read_bytes())
            copied.chmod(source.stat().st_mode)


def make_repository(folder):
    """Make a folder a git repository with one commit, on branch master."""
    for words in (
        ('init', '-q', '-b', 'master'),
        ('add', '-A', '-f'),
        ('commit', '-q', '-m', 'All of it'),
    ):
        subprocess.run(
            [
                *('git', '-c', 'user.name=test', '-c', 'user.email=test'),
                *words,
            ],
            cwd=folder,
            check=True,
        )
