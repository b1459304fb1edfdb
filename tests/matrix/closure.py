# SPDX-License-Identifier: Apache-2.0
"""The code that a row stands on, so that another's change leaves it be.

A row stands on all that is not a Python module of the product, the tests or
the benchmarks (tools, settings, requirements, data), and on those modules
that its own reaches: by an import wherever it is, by a dotted name, a file
name or the name of one of our commands in a string. Who starts Ironic stands
on the whole product, for Ironic finds its parts by entry point; who builds a
ramdisk, on all that goes into it. Called by `results`.
"""

import ast
import collections
import configparser
import functools
import pathlib
import re
from collections.abc import Collection, Iterator

PRODUCT = 'zsbm_ironic/'
# Whose modules are looked at one by one.
FOLDERS = (PRODUCT, 'tests/', 'benchmarks/')
RUNNER = 'tests.matrix.rows'
# What only its own rows and the checks look at.
DEVSTACK = 'devstack/'
# Who starts Ironic, or is the lab's command, which does. Without .py: this
# module, which says so, does not.
STARTS_IRONIC = frozenset(
    {
        'tests/functional/ironic_service',
        'zsbm_ironic/lab/cli',
        'zsbm_ironic/lab/ironic',
    }
)
BUILDS_RAMDISK = 'zsbm_ironic/lab/images/payload'
# What it puts there.
IN_RAMDISK = tuple(
    f'{PRODUCT}{room}' for room in ('__', 'common', 'image', 'ramdisk')
)
DOTTED = re.compile(r'\b(?:zsbm_ironic|tests|benchmarks)(?:\.\w+)+')
# A whole string: what is run, not what a text speaks of.
FILE = re.compile(r'^(?:\S*/)?((?!__init__)\w+\.py)$')
COMMAND = re.compile(r'^(zsbm-\w+)$')


def of(
    modules: Collection[str], names: Collection[str], top: pathlib.Path
) -> set[str]:
    """Return the files that these modules stand on.

    :param modules: dotted names; what runs a row is added.
    :param names: all files of the code, relative to `top`.
    """
    looked_at = {
        name
        for name in names
        if name.endswith('.py') and name.startswith(FOLDERS)
    }
    reached = _reached({*modules, RUNNER}, looked_at, top)
    product = {name for name in looked_at if name.startswith(PRODUCT)}
    paths = {name.removesuffix('.py') for name in reached}
    if paths & STARTS_IRONIC:
        reached |= product
    if BUILDS_RAMDISK in paths:
        reached |= {name for name in product if name.startswith(IN_RAMDISK)}
    devstack = any(name.startswith('tests/devstack/') for name in reached)
    others = {
        name
        for name in set(names) - looked_at
        if devstack or not name.startswith(DEVSTACK)
    }
    return reached | others


def _reached(
    modules: Collection[str], looked_at: set[str], top: pathlib.Path
) -> set[str]:
    by_file_name = collections.defaultdict(set)
    for name in looked_at:
        by_file_name[name.rpartition('/')[2]].add(name)
    commands = _commands(top)
    found: set[str] = set()
    to_visit = [
        file for module in modules for file in _files(module, looked_at)
    ]
    while to_visit:
        name = to_visit.pop()
        if name in found:
            continue
        found.add(name)
        for word in _words(top / name):
            if word.endswith('.py'):
                to_visit += by_file_name.get(word, ())
            else:
                to_visit += _files(commands.get(word, word), looked_at)
    return found


def _files(module: str, looked_at: set[str]) -> Iterator[str]:
    """Yield the file of a dotted name, and the packages that it is in.

    Of a name in a module, the module's.
    """
    parts = module.split('.')
    for count in range(1, len(parts) + 1):
        path = '/'.join(parts[:count])
        for name in (f'{path}.py', f'{path}/__init__.py'):
            if name in looked_at:
                yield name


def _words(path: pathlib.Path) -> frozenset[str]:
    """Return what a module names: other modules, files and commands."""
    status = path.stat()
    return _words_then(path, status.st_mtime_ns, status.st_size)


@functools.cache
def _words_then(path: pathlib.Path, _at: int, _bytes: int) -> frozenset[str]:
    words: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            # A docstring names what it likes.
            node.value.value = None
        elif isinstance(node, ast.Import):
            words.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            # No relative ones: the style forbids them.
            words.update(f'{node.module}.{one.name}' for one in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            for pattern in (DOTTED, FILE, COMMAND):
                words.update(pattern.findall(node.value))
    return frozenset(words)


def _commands(top: pathlib.Path) -> dict[str, str]:
    """Return the modules of our commands."""
    parser = configparser.ConfigParser()
    parser.read(top / 'setup.cfg')
    lines = parser.get('entry_points', 'console_scripts', fallback='')
    commands = {
        name.strip(): place.partition(':')[0].strip()
        for name, _, place in (
            line.partition('=') for line in lines.splitlines() if line
        )
    }
    # A folder is called so too; who runs it uses the lab's modules as well.
    commands.pop('zsbm-lab', None)
    return commands
