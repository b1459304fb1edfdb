# SPDX-License-Identifier: Apache-2.0
"""The sample: what `tools/test` and CI run, part by part.

A budget is what a part may take on a cold machine with 2 cores; a part over
its budget is to be trimmed, not given more.
"""

import dataclasses
import sys

from tests.matrix import checks

CODE = (
    'zsbm_ironic',
    'tests',
    'benchmarks',
    'doc/source',
    'releasenotes/source',
    'setup.py',
)
SHELL = (
    'tools/test',
    'tools/common.sh',
    'tools/quickstart',
    '.ci/run',
    'devstack/override-defaults',
    'devstack/settings',
    'devstack/plugin.sh',
    'devstack/lib/zsbm-ironic',
    'tests/devstack/phases.sh',
    'zsbm_ironic/monitoring/install_exporter.sh',
)
TEXT = (
    'README.rst',
    'CONTRIBUTING.rst',
    'SECURITY.rst',
    'devstack/README.rst',
)


@dataclasses.dataclass(frozen=True)
class Part:
    """Some checks that are run together.

    :ivar budget_s: seconds that it may take.
    :ivar profiles: what it needs of bindep.txt.
    """

    name: str
    title: str
    budget_s: int
    checks: tuple[checks.Command | checks.Tests, ...]
    profiles: tuple[str, ...] = ()


def _tool(name: str, *arguments: str) -> checks.Command:
    return checks.Command(name, (sys.executable, '-m', name, *arguments))


def _command(name: str, *argv: str) -> checks.Command:
    return checks.Command(name, argv)


def _shell_files() -> tuple[str, ...]:
    return tuple(name for name in SHELL if (checks.TOP / name).exists())


def _sphinx(source: str, build: str) -> checks.Command:
    return checks.Command(
        f'sphinx -W {source}',
        (
            *(sys.executable, '-m', 'sphinx', '-q', '-W', '--keep-going'),
            *('-b', 'html', source, build),
        ),
    )


PARTS = (
    Part(
        'pep8',
        'style of code, shell and text',
        120,
        (
            _command('ruff check', 'ruff', 'check', *CODE),
            _command('ruff format', 'ruff', 'format', '--check', *CODE),
            _tool('flake8', *CODE),
            _tool('doc8', '-q', *TEXT, 'doc/source', 'releasenotes/notes'),
            _command(
                'codespell',
                'codespell',
                *(*CODE, *TEXT, 'tools', 'etc', 'devstack'),
            ),
            _command('reno lint', 'reno', '-q', 'lint'),
            _command('bashate', 'bashate', '-i', 'E006', *_shell_files()),
            _command('shellcheck', 'shellcheck', '-x', *_shell_files()),
        ),
        profiles=('test',),
    ),
    Part('mypy', 'types', 120, (_tool('mypy'),)),
    Part(
        'unit',
        'domain code on real files, sockets, programs',
        240,
        (checks.Tests('tests/unit'),),
        profiles=('lab', 'test'),
    ),
    Part(
        'docs',
        'documentation and release notes build without a warning',
        120,
        (
            _sphinx('doc/source', 'doc/build/html'),
            _sphinx('releasenotes/source', 'releasenotes/build/html'),
        ),
        profiles=('doc',),
    ),
    Part(
        'packaging',
        'the wheel, each extra of it in an empty environment',
        120,
        (checks.Tests('tests/packaging', serial=True, verbose=True),),
    ),
    Part(
        'functional',
        'a real Ironic, real servers, emulated BMCs on loopback',
        360,
        (
            checks.Tests(
                'tests/functional',
                exclude='tests/functional/slow.txt',
                serial=True,
                verbose=True,
            ),
        ),
        profiles=('lab', 'test'),
    ),
    Part(
        'fleet',
        'fifty emulated BMCs, with faults, and a short soak',
        120,
        (checks.Tests('tests/fleet', serial=True, verbose=True),),
        profiles=('lab', 'test'),
    ),
    Part(
        'devstack',
        "every phase of the devstack plugin, with devstack's own functions",
        120,
        (
            checks.Tests(
                'tests/devstack',
                exclude='tests/devstack/slow.txt',
                serial=True,
                verbose=True,
            ),
        ),
        profiles=('lab', 'test'),
    ),
    Part(
        'e2e',
        'QEMU servers, from enrolment to SSH',
        1320,
        (
            checks.Tests(
                'tests/e2e',
                include='tests/e2e/sample.txt',
                serial=True,
                verbose=True,
            ),
        ),
        profiles=('lab', 'test'),
    ),
)

BY_NAME = {part.name: part for part in PARTS}
