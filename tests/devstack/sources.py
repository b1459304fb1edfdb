# SPDX-License-Identifier: Apache-2.0
"""Where devstack's files come from: a checkout, and ironic's sdist."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from zsbm_ironic.common import artifacts
from zsbm_ironic.lab import layout

TOP = pathlib.Path(__file__).parents[2]
KIND = 'ironic-sdist'
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
    """Return ironic's source at the version of constraints.txt.

    From PyPI, which git repositories of the same release are made of; kept in
    the cache of the lab.
    """
    pins = (TOP / 'constraints.txt').read_text()
    version = re.search(r'^ironic==(\S+)$', pins, re.M).group(1)
    cache = artifacts.Artifacts(layout.Layout.from_environment().cache)
    folder = cache.get(KIND, version, lambda where, _: _fetch(version, where))
    return folder / f'ironic-{version}'


def _fetch(version, where):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, '-m', 'pip', '-q', 'download'),
                *('--no-deps', '--no-binary', ':all:', '-d', folder),
                f'ironic=={version}',
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
