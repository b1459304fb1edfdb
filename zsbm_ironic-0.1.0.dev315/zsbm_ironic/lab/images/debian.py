# SPDX-License-Identifier: Apache-2.0
"""Debian and PyPI packages into a folder: one call each to the real tools.

Called by the builders of this room. Uses the host's mirror, proxy and Python
index as they are configured; what it fetched lives in the caller's folder.
"""

import importlib.resources
import importlib.util
import os
import pathlib
import shutil
import sys
from collections.abc import Sequence

from zsbm_ironic.common import apt, exception, process
from zsbm_ironic.lab import exception as lab_exception

RELEASE = 'bookworm'
PYTHON_VERSION = '3.11'  # of that release
# Newest first, from that release's glibc 2.36 down to what PyPI has most of.
_MANYLINUX = ('2_36', '2_35', '2_34', '2_31', '2_28', '2_17', '2_12', '2_5')
_BOOTSTRAP_TIMEOUT_S = 1800
_PIP_TIMEOUT_S = 900
DATA = importlib.resources.files('zsbm_ironic.lab.images') / 'data'

# Not needed by a machine, half of the files of a package.
PATHS_LEFT_OUT = (
    '/usr/share/doc/*',
    '/usr/share/info/*',
    '/usr/share/lintian/*',
    '/usr/share/locale/*',
    '/usr/share/man/*',
    '/usr/share/bash-completion/*',
    '/usr/share/zsh/*',
)


def data(name: str) -> str:
    """Return a packaged text file of this room."""
    return (DATA / name).read_text()


def package_list(name: str) -> list[str]:
    """Return the entries of a packaged list with comments."""
    lines = (line.partition('#')[0].strip() for line in data(name).split('\n'))
    return [line for line in lines if line]


def bootstrap(
    target: pathlib.Path,
    packages: Sequence[str],
    *,
    variant: str,
    left_out: Sequence[str] = (),
    hooks: Sequence[str] = (),
    what: str,
    release: str = RELEASE,
    architecture: str = 'amd64',
) -> None:
    """Put Debian packages and what they need into `target`.

    :param variant: mmdebstrap's: `extract` unpacks and runs no script of a
        package, `apt` and the like install.
    :param left_out: further path patterns, as dpkg's path-exclude takes them.
    :param hooks: mmdebstrap options, for example `--customize-hook=...`.
    :param what: what is built, for error messages.
    :param release: Debian's codename of it.
    :param architecture: Debian's name of it; one that this machine does not
        run needs qemu-user-static, unless no script runs.
    :raises DownloadFailed: the mirror cannot be reached.
    :raises BuildFailed: anything else went wrong.
    """
    apt.require('mmdebstrap', 'mmdebstrap', what)
    if os.geteuid() != 0:
        raise lab_exception.RootNeeded(what=what)
    archives = target.with_name(f'{target.name}.sources')
    archives.write_text(
        '\n'.join(source.stanza() for source in apt.sources(release))
    )
    # What it mounts into the root ends with it, however it ends: whoever
    # sweeps away a half-made root must not go through /proc and /sys.
    argv: list[str | os.PathLike[str]] = [
        *('unshare', '--mount', '--propagation=private'),
        'mmdebstrap',
        '--mode=root',
        f'--variant={variant}',
        '--format=directory',
        f'--architectures={architecture}',
        f'--include={",".join(packages)}',
    ]
    argv += [
        f'--dpkgopt=path-exclude={pattern}'
        for pattern in (*PATHS_LEFT_OUT, *left_out)
    ]
    argv += [f'--aptopt={option}' for option in apt.host_options()]
    argv += [*hooks, release, target, archives]
    try:
        process.run(argv, timeout_s=_BOOTSTRAP_TIMEOUT_S)
    except exception.ProcessFailed as exc:
        raise apt.explain(exc, what) from exc
    finally:
        archives.unlink()


def pack(root: pathlib.Path, archive: pathlib.Path) -> None:
    """Write a root into an archive, owners and attributes too; remove it."""
    process.run(
        ['tar', '--create', '--xattrs', '--numeric-owner', '--sort=name']
        + ['--use-compress-program=zstd -q -T0 -3', '-f']
        + [str(archive), '-C', str(root), '.'],
        timeout_s=600,
    )
    shutil.rmtree(root)


def unpack(archive: pathlib.Path, root: pathlib.Path) -> None:
    """Unpack into an empty folder what `pack` wrote."""
    process.run(
        ['tar', '--extract', '--xattrs', '--xattrs-include=*']
        + ['--numeric-owner', '--use-compress-program=zstd', '-f']
        + [str(archive), '-C', str(root)],
        timeout_s=300,
    )


def pip_install(
    target: pathlib.Path, requirements: pathlib.Path, what: str
) -> None:
    """Put pinned wheels for the ramdisk's Python into `target`.

    :raises ToolMissing: neither pip nor uv is there.
    :raises DownloadFailed: the index cannot be reached.
    :raises BuildFailed: a wheel is missing there.
    """
    options = [
        '--target',
        str(target),
        '--no-deps',
        '--only-binary=:all:',
        f'--python-version={PYTHON_VERSION}',
        '-r',
        str(requirements),
    ]
    uv = shutil.which('uv')
    argv: list[str]
    if importlib.util.find_spec('pip'):
        argv = [sys.executable, '-m', 'pip', 'install', '-q', '--no-compile']
        argv += ['--implementation=cp', '--disable-pip-version-check']
        argv += [f'--platform=manylinux_{tag}_x86_64' for tag in _MANYLINUX]
    elif uv:
        argv = [uv, 'pip', 'install', '-q', '--link-mode=copy']
        argv += [f'--python-platform=x86_64-manylinux_{_MANYLINUX[0]}']
    else:
        raise exception.ToolMissing(
            tool='pip', package='python3-pip', purpose=what
        )
    try:
        process.run([*argv, *options], timeout_s=_PIP_TIMEOUT_S)
    except exception.ProcessFailed as exc:
        raise apt.explain(exc, what) from exc
