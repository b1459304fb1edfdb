# SPDX-License-Identifier: Apache-2.0
"""The rules of this house that flake8 holds, beside hacking's own.

N301
    Domain rooms know no ironic: only drivers, the interfaces in network, the
    lab and common/ironic_compat.py import it, and only ramdisk imports the
    agent.
N302
    Nothing imports the lab but the lab, the tests and the tools.
N303
    A file begins with its SPDX line.
"""

import ast
import pathlib
from collections.abc import Iterator

SPDX = '# SPDX-License-Identifier: Apache-2.0'

# Paths inside the package that may import a package of upstream.
ALLOWED = {
    'ironic': (
        'drivers/',
        'lab/',
        'network/by_neutron.py',
        'network/checked.py',
        'network/flat.py',
        'network/vlan.py',
        'network/vpc.py',
        'common/ironic_compat.py',
    ),
    'ironic_python_agent': ('ramdisk/', 'lab/'),
}


def _inside_package(filename: str) -> str | None:
    """Return the path below zsbm_ironic, or None for a file elsewhere."""
    parts = pathlib.PurePath(filename).parts
    if 'zsbm_ironic' not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index('zsbm_ironic')
    return '/'.join(parts[last + 1 :])


def _imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node, node.module
            for alias in node.names:
                yield node, f'{node.module}.{alias.name}'


class HouseRules:
    """The flake8 plugin: every rule for one file."""

    name = 'zsbm-house-rules'
    version = '1'

    def __init__(self, tree: ast.AST, filename: str, lines: list[str]) -> None:
        self.tree = tree
        self.filename = filename
        self.lines = lines

    def run(self) -> Iterator[tuple[int, int, str, type]]:
        """Yield (line, column, message, plugin) as flake8 wants them."""
        if self.lines and self.lines[0].rstrip() != SPDX:
            yield self._at(1, f'N303 the first line is not "{SPDX}"')
        inside = _inside_package(self.filename)
        if inside is None:
            return
        seen = set()
        for node, module in _imports(self.tree):
            message = _objection(inside, module)
            if message and (node.lineno, message) not in seen:
                seen.add((node.lineno, message))
                yield self._at(node.lineno, message)

    def _at(self, line: int, message: str) -> tuple[int, int, str, type]:
        return line, 0, message, type(self)


def _objection(inside: str, module: str) -> str | None:
    package = module.partition('.')[0]
    allowed = ALLOWED.get(package)
    if allowed is not None and not inside.startswith(allowed):
        return (
            f'N301 {inside} imports {package}: only {", ".join(allowed)} may'
        )
    if module.startswith('zsbm_ironic.lab') and not inside.startswith('lab/'):
        return f'N302 {inside} imports the lab: only tests and tools may'
    return None
