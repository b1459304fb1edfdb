# SPDX-License-Identifier: Apache-2.0
"""Reference pages that are made from the code when the documents are built.

Writes below reference/generated, which git ignores: a page for each error, a
page of drivers and steps, the supported releases, the map of the house, the
last results of the matrix. What the pages say cannot differ from the code.
"""

import ast
import importlib
import importlib.metadata
import inspect
import json
import pathlib
import re
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import yaml
from sphinx.application import Sphinx
from sphinx.util import docutils

from zsbm_ironic.common import exception, process
from zsbm_ironic.status import releases

TOP = pathlib.Path(__file__).resolve().parents[3]
FOLDER = pathlib.PurePath('reference', 'generated')
INTERFACES = 'ironic.hardware.interfaces.'
KINDS = (
    (
        exception.Retry,
        'May pass by itself',
        'Try again. Where it stays, do what the message says.',
    ),
    (
        exception.FixSettings,
        'A setting has to change',
        'Change what the message names, then repeat the command.',
    ),
    (
        exception.GiveUp,
        'Neither a retry nor a setting helps',
        'Take the way that the message names; where it names none, report it '
        'with the log around it.',
    ),
)
STEPS = ('verify', 'clean', 'deploy', 'service')


def title(text: str, mark: str = '=') -> str:
    """Return a heading."""
    return f'{text}\n{mark * len(text)}\n'


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a list-table; cells are RST and may have several lines."""
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in (head, *rows):
        for number, cell in enumerate(row):
            mark = '   * - ' if number == 0 else '     - '
            first, *rest = str(cell).splitlines() or ['']
            lines.append((mark + first).rstrip())
            lines += ['       ' + line if line else '' for line in rest]
    return '\n'.join([*lines, ''])


def escaped(text: str) -> str:
    """Return text that RST takes literally, `words` as code."""
    parts = text.split('`')
    if len(parts) % 2 == 0:
        return re.sub(r'([*`|_\\])', r'\\\1', text)
    return ''.join(
        f'``{part}``' if number % 2 else re.sub(r'([*|_\\])', r'\\\1', part)
        for number, part in enumerate(parts)
    )


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring on one line."""
    text = inspect.getdoc(thing) or ''
    return escaped(' '.join(text.split('\n\n')[0].split()))


def errors() -> Iterator[tuple[str, str]]:
    """Yield (name, page) of each error, and of the list of all."""
    for path in (TOP / 'zsbm_ironic').glob('*/exception.py'):
        importlib.import_module(f'zsbm_ironic.{path.parent.name}.exception')
    listing = [title('Error messages')]
    listing.append(
        'Every error has a page: what it says, when, and what to do. '
        'They are grouped by what helps.\n'
    )
    for kind, heading, advice in KINDS:
        classes = sorted(_below(kind), key=lambda cls: cls.__name__)
        listing += [title(heading, '-'), '.. toctree::', '']
        listing += [f'   errors/{cls.__name__}' for cls in classes]
        listing.append('')
        for cls in classes:
            yield f'errors/{cls.__name__}', _error(cls, advice)
    yield 'errors', '\n'.join(listing)


def _below(base: type[exception.ZsbmError]) -> Iterator[type]:
    for cls in base.__subclasses__():
        yield cls
        yield from _below(cls)


def _error(cls: Any, advice: str) -> str:
    message = str(cls(**cls.EXAMPLE))
    quoted = '\n'.join(
        textwrap.indent(textwrap.fill(line, 76), '   ')
        for line in message.splitlines()
    )
    fields = [
        (f'``{name}``', escaped(str(value)))
        for name, value in cls.EXAMPLE.items()
    ]
    parts = [
        title(cls.__name__),
        escaped(inspect.getdoc(cls) or '') + '\n',
        '.. code-block:: text\n',
        quoted + '\n',
        f'**What to do.** {advice}\n',
        'In node history, ``last_error`` and logs the same sentence stands, '
        'with the values of the case.\n',
    ]
    if fields:
        parts.append(table(('Field', 'For example'), fields))
    raised = ', '.join(f'``{path}``' for path in _raised_in(cls.__name__))
    if raised:
        parts.append(f'Raised in {raised}.\n')
    return '\n'.join(parts)


def _raised_in(name: str) -> list[str]:
    word = re.compile(rf'\b{name}\(')
    return [
        str(path.relative_to(TOP))
        for path in sorted((TOP / 'zsbm_ironic').rglob('*.py'))
        if path.name != 'exception.py' and word.search(path.read_text())
    ]


def drivers() -> str:
    """Return the page of interfaces, their properties, steps and calls."""
    with tempfile.TemporaryDirectory() as folder:
        # Boot interfaces write their scripts when they are made.
        conf = importlib.import_module('ironic.conf').CONF
        conf.set_override('http_root', folder, 'deploy')
        conf.set_override('tftp_root', folder, 'pxe')
        return _drivers()


def _drivers() -> str:
    points = importlib.metadata.distribution('zsbm-ironic').entry_points
    ours = sorted(
        (point for point in points if point.group.startswith(INTERFACES)),
        key=lambda point: (point.group, point.name),
    )
    parts = [title('Interfaces, properties, steps'), title('Interfaces', '-')]
    rows = []
    instances = []
    for point in ours:
        cls = point.load()
        kind = point.group.removeprefix(INTERFACES)
        rows.append((kind, f'``{point.name}``', summary(cls)))
        instances.append((kind, point.name, cls()))
    parts.append(table(('Type', 'Name', 'What it is'), rows))
    parts += [title('Properties of driver_info', '-'), _properties(instances)]
    parts += [title('Steps', '-'), _steps(instances)]
    parts += [title('Vendor calls', '-'), _vendor(instances)]
    return '\n'.join(parts)


def _properties(instances: Sequence[tuple[str, str, Any]]) -> str:
    known: dict[str, str] = {}
    for _kind, _name, instance in instances:
        known.update(instance.get_properties())
    rows = [
        (f'``{name}``', escaped(' '.join(known[name].split())))
        for name in sorted(known)
    ]
    return table(('Key', 'Meaning'), rows)


def _steps(instances: Sequence[tuple[str, str, Any]]) -> str:
    rows = []
    for kind, name, instance in instances:
        for phase in STEPS:
            for step in getattr(instance, f'{phase}_steps', ()):
                method = getattr(type(instance), step['step'])
                if method.__module__.startswith('zsbm_ironic'):
                    rows.append(
                        _step(f'{kind} ``{name}``', phase, step, method)
                    )
    rows += _in_band_steps()
    if not rows:
        return 'None beside those of upstream.\n'
    head = ('Interface', 'Phase', 'Step', 'Priority', 'What it does')
    return 'Beside those of upstream:\n\n' + table(head, rows)


def _in_band_steps() -> list[tuple[str, ...]]:
    importlib.import_module('ironic_python_agent.config')
    point = next(
        iter(
            importlib.metadata.distribution('zsbm-ironic').entry_points.select(
                group='ironic_python_agent.hardware_managers'
            )
        )
    )
    cls = point.load()
    manager = cls()
    rows = []
    for phase in STEPS[1:]:
        getter = getattr(manager, f'get_{phase}_steps', None)
        if getter is None:
            continue
        for step in getter({}, []):
            method = getattr(cls, step['step'])
            rows.append(_step('in the ramdisk', phase, step, method))
    return rows


def _step(
    where: str, phase: str, step: dict[str, Any], method: Any
) -> tuple[str, ...]:
    text = summary(method)
    for name, info in (step.get('argsinfo') or {}).items():
        text += f'\n\n``{name}``: {escaped(info["description"])}'
    return where, phase, f'``{step["step"]}``', str(step['priority']), text


def _vendor(instances: Sequence[tuple[str, str, Any]]) -> str:
    rows = []
    for kind, name, instance in instances:
        if kind != 'vendor':
            continue
        for call, route in sorted(instance.vendor_routes.items()):
            methods = ', '.join(route['http_methods'])
            text = escaped(route['description'] or '')
            rows.append((f'``{name}``', f'``{call}``', methods, text))
    return table(('Interface', 'Call', 'HTTP', 'What it gives'), rows)


def supported() -> str:
    """Return the page of supported releases."""
    rows = [
        (one.name, one.span, ', '.join(one.tested))
        for one in releases.COMPONENTS
    ]
    return '\n'.join(
        [
            title('Supported releases'),
            'A test holds this table against the package itself; '
            '``zsbm-status upgrade check`` holds a host against it.\n',
            table(('Component', 'Supported', 'Tested with'), rows),
        ]
    )


def house() -> str:
    """Return the rooms with their purpose, and who imports whom."""
    root = TOP / 'zsbm_ironic'
    rooms = sorted(
        path.name for path in root.iterdir() if (path / '__init__.py').exists()
    )
    arrows = set()
    for room in rooms:
        for path in (root / room).rglob('*.py'):
            for target in _imported(path):
                if target in rooms and target != room:
                    arrows.add((room, target))
    # Every room reads options and raises errors: the arrows would hide the
    # others.
    shown = [one for one in arrows if not set(one) & {'conf', 'common'}]
    lines = ['.. graphviz::', '', '   digraph house {', '     rankdir=LR;']
    lines.append('     node [shape=box, style=rounded, fontname=sans];')
    lines += [
        f'     {room};' for room in rooms if room not in ('conf', 'common')
    ]
    lines += [f'     {one} -> {other};' for one, other in sorted(shown)]
    lines += ['   }', '']
    return '\n'.join(lines)


def _imported(path: pathlib.Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith('zsbm_ironic.'):
                yield name.split('.')[1]


def results() -> str:
    """Return the last result of each row of the matrix."""
    rows = []
    for path in sorted((TOP / 'tests' / 'results').glob('*/*.json')):
        data = json.loads(path.read_text())
        # What is more than a figure has a table elsewhere.
        figures = ', '.join(
            f'{name} {value}'
            for name, value in data['figures'].items()
            if not isinstance(value, dict)
        )
        good = data['passed'] and not data['failed']
        rows.append(
            (
                f'{path.parent.name}/{path.stem}',
                'passed' if good else 'FAILED',
                data['date'][:10],
                f'{data["seconds"]:.0f}',
                escaped(figures[:400]),
            )
        )
    if not rows:
        return 'No row was run yet.\n'
    return table(('Row', 'Result', 'Date', 'Seconds', 'Figures'), rows)


def alerts() -> str:
    """Return the alerts of the rules for Prometheus."""
    path = TOP / 'etc' / 'prometheus' / 'zsbm-alerts.yml'
    rows = []
    for group in yaml.safe_load(path.read_text())['groups']:
        for rule in group['rules']:
            if 'alert' not in rule:
                continue
            labels, said = rule['labels'], rule['annotations']
            text = f'{said["summary"]} {said["remedy"]}'
            rows.append(
                (
                    f'``{rule["alert"]}``',
                    rule.get('for', 'at once'),
                    labels['severity'],
                    labels['concerns'],
                    escaped(re.sub(r'{{.*?}}', '…', text)),
                )
            )
    head = ('Alert', 'After', 'Severity', 'Concerns', 'What it says')
    return table(head, rows)


def commands() -> str:
    """Return what each command of the package says of itself."""
    points = importlib.metadata.distribution('zsbm-ironic').entry_points
    parts = []
    for point in sorted(points.select(group='console_scripts')):
        program = pathlib.Path(sys.executable).with_name(point.name)
        done = process.run(
            [program, '--help'], timeout_s=60, env={'COLUMNS': '79'}
        )
        text = textwrap.indent(done.stdout.rstrip(), '   ')
        parts.append(f'``{point.name}``::\n\n{text}\n')
    return '\n'.join(parts)


def write(app: Sphinx) -> None:
    """Write every page; what did not change keeps its time."""
    folder = pathlib.Path(app.srcdir, FOLDER)
    pages = dict(errors())
    pages['drivers'] = drivers()
    pages['releases'] = supported()
    wanted = {f'{name}.rst': text for name, text in pages.items()}
    for path in folder.rglob('*'):
        if path.is_file() and str(path.relative_to(folder)) not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


class Generated(docutils.SphinxDirective):
    """`.. generated:: house`: a part of a page that is made from the code."""

    required_arguments = 1
    makers: ClassVar[dict[str, Callable[[], str]]] = {
        'alerts': alerts,
        'commands': commands,
        'house': house,
        'results': results,
    }

    def run(self) -> list[Any]:
        """Return the nodes of the part."""
        return self.parse_text_to_nodes(self.makers[self.arguments[0]]())


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive('generated', Generated)
    app.connect('builder-inited', write)
    return {'parallel_read_safe': True}
