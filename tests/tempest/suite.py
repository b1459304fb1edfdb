# SPDX-License-Identifier: Apache-2.0
"""Starts tests of ironic-tempest-plugin, and judges what came of them.

What does not pass has to be on a list, a TOML file of entries such as::

    [[known]]
    tests = 'api\\.admin\\.test_nodes\\.TestNodesVif\\.'
    told = 'Neutron is not enabled.'
    reason = 'Asks Neutron for networks. Run by cloud/tempest_vif.'

`tests` is a regular expression, found anywhere in the id of a test; `told` a
part of what the test says of itself. An entry that is not true any more is a
problem as well: a test that passes, or that does not pass for another reason.
"""

import configparser
import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import threading
import tomllib
from collections.abc import Collection, Iterator
from typing import IO

import subunit
import testtools

from zsbm_ironic.common import artifacts
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.cloud import environment

HERE = pathlib.Path(__file__).parent
KIND = 'tempest-python'
NEEDED_BYTES = 500 << 20
PACKAGE = 'ironic_tempest_plugin.tests.'
PASSED, FAILED, SKIPPED = 'passed', 'failed', 'skipped'
# Of testtools.
WORDS = {
    'success': PASSED,
    'xfail': PASSED,
    'skip': SKIPPED,
    'fail': FAILED,
    'uxsuccess': FAILED,
    'inprogress': FAILED,
    'unknown': FAILED,
}
TOLD_CHARS = 1500
SERVICES = ('cinder', 'glance', 'ironic', 'neutron', 'nova', 'swift')


@dataclasses.dataclass(frozen=True)
class Seen:
    """What came of a test.

    :ivar outcome: PASSED, FAILED or SKIPPED.
    :ivar told: what the test says of it; empty where it passed.
    """

    outcome: str
    told: str = ''


@dataclasses.dataclass(frozen=True)
class Known:
    """Tests that do not pass, and why.

    :ivar tests: regular expression, found in their ids.
    :ivar told: part of what they say.
    :ivar reason: for the reader of the table: whose reason it is.
    """

    tests: str
    told: str
    reason: str

    def names(self, test_id: str) -> bool:
        """Say whether a test is one of these."""
        return re.search(self.tests, test_id) is not None


def programs() -> environment.Environment:
    """Return Tempest's environment, made where it is missing.

    :raises ProcessFailed: a package cannot be fetched.
    """
    cache = artifacts.Artifacts(layout.Layout.from_environment().cache)
    lock = (HERE / 'requirements.txt').read_bytes()
    return environment.of_lock(cache, KIND, lock, needs_bytes=NEEDED_BYTES)


def versions() -> dict[str, str]:
    """Return the versions of the plugin and of Tempest, by name."""
    lock = (HERE / 'requirements.txt').read_text()
    found = dict(re.findall(r'^([\w-]+)==(\S+)$', lock, re.MULTILINE))
    return {name: found[name] for name in ('ironic-tempest-plugin', 'tempest')}


def options(
    folder: pathlib.Path,
    *,
    auth_url: str,
    region: str,
    password: str,
    services: Collection[str],
) -> dict[str, dict[str, str]]:
    """Return the options of tempest.conf that any cloud has.

    :param folder: for its files.
    :param password: of the administrator, `admin`.
    :param services: of SERVICES, those that Tempest may ask.
    """
    return {
        'auth': {
            'admin_domain_name': 'Default',
            'admin_password': password,
            'admin_project_name': 'admin',
            'admin_system': 'all',
            'admin_username': 'admin',
            'create_isolated_networks': 'false',
            'use_dynamic_credentials': 'true',
        },
        'identity': {
            'region': region,
            'uri_v3': auth_url,
            'v3_endpoint_type': 'public',
        },
        'oslo_concurrency': {'lock_path': str(folder / 'lock')},
        'service_available': {
            name: str(name in services).lower() for name in SERVICES
        },
    }


def write_config(
    folder: pathlib.Path, options: dict[str, dict[str, str]]
) -> None:
    """Write tempest.conf for its owner alone: it has passwords."""
    parser = configparser.RawConfigParser(default_section='none of them')
    parser.read_dict(options)
    path = folder / 'tempest.conf'
    path.touch(mode=0o600)
    with path.open('w') as out:
        parser.write(out)


def run(
    folder: pathlib.Path,
    prefixes: list[str],
    *,
    limit_s: float,
    nodes: pathlib.Path | None = None,
    ours: bool = False,
    within: tuple[str, ...] = (),
) -> dict[str, Seen]:
    """Run tests, and return what came of each by its id.

    :param folder: of tempest.conf; its log goes there.
    :param prefixes: of the ids of the tests, without the package.
    :param limit_s: seconds after which all that still runs is ended.
    :param nodes: see `tests.tempest.run`, as for `ours`.
    :param within: words before the program: where it runs.
    """
    words = ['--nodes', str(nodes)] if nodes else []
    if ours:
        words.append('--ours')
    counted = Counted()
    with _started(folder, [*words, *_whole(prefixes)], within) as process:
        timer = threading.Timer(limit_s, _end, (process,))
        timer.start()
        try:
            counted.read(process.stdout)
        finally:
            timer.cancel()
    return counted.seen()


def listed(folder: pathlib.Path, prefixes: list[str]) -> list[str]:
    """Return the ids of tests, and run none.

    :param folder: see `run`, as for `prefixes`.
    """
    counted = Counted()
    with _started(folder, ['--list', *_whole(prefixes)], ()) as process:
        counted.read(process.stdout)
    return list(counted.seen())


def _whole(prefixes: list[str]) -> list[str]:
    return [PACKAGE + prefix for prefix in prefixes]


@contextlib.contextmanager
def _started(
    folder: pathlib.Path, words: list[str], within: tuple[str, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    program = [programs().program('python'), str(HERE / 'run.py')]
    with (folder / 'tempest.log').open('ab') as log:
        process = subprocess.Popen(
            [*within, *program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, 'TEMPEST_CONFIG_DIR': str(folder)},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)
        process.wait()
        process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Counted:
    """Outcomes of tests, and of what stands before those of a class."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._seen: dict[str, Seen] = {}

    def read(self, stream: IO[bytes]) -> None:
        """Read a subunit stream to its end."""
        result = testtools.StreamToDict(self._one)
        result.startTestRun()
        subunit.ByteStreamToStreamResult(stream, 'stdout').run(result)
        result.stopTestRun()

    def _one(self, test) -> None:
        name = plain(test['id'])
        if test['status'] == 'exists':
            self._ids.append(name)
        elif test['status'] in WORDS:
            details = {
                key: content.as_text().strip()
                for key, content in test['details'].items()
                if content.content_type.type == 'text'
            }
            told = details.pop('reason', '') or '\n'.join(
                text
                for key, text in details.items()
                if key.startswith('traceback')
            )
            self._seen[name] = Seen(WORDS[test['status']], told[-TOLD_CHARS:])

    def seen(self) -> dict[str, Seen]:
        """Return the outcome of every test that was to be run.

        And of each class that could not take away what it had made.
        """
        return {
            name: self._seen.get(name) or self._before(name)
            for name in self._ids
        } | {
            name: one
            for name, one in self._seen.items()
            if name.startswith('tearDownClass') and one.outcome == FAILED
        }

    def _before(self, name: str) -> Seen:
        """Return why a test never began: its class did not."""
        owner = name.rpartition('.')[0]
        return self._seen.get(
            f'setUpClass ({PACKAGE}{owner})',
            Seen(FAILED, 'It was never run.'),
        )


def plain(test_id: str) -> str:
    """Return an id without the package and Tempest's own number."""
    return test_id.split('[')[0].removeprefix(PACKAGE)


def load(path: pathlib.Path) -> list[Known]:
    """Return the entries of a list."""
    with path.open('rb') as data:
        return [Known(**entry) for entry in tomllib.load(data)['known']]


def problems(seen: dict[str, Seen], known: list[Known]) -> list[str]:
    """Return what is not as the list says, a line for each."""
    found = []
    for name, one in sorted(seen.items()):
        entries = [entry for entry in known if entry.names(name)]
        if one.outcome == PASSED:
            found += [
                f'{name} passes now. Take it out of the list: {entry.tests}'
                for entry in entries
            ]
        elif not any(entry.told in one.told for entry in entries):
            found.append(f'{name} {one.outcome}: {one.told}')
    for entry in known:
        if not any(entry.names(name) for name in seen):
            found.append(f'No test is called {entry.tests}: not any more?')
    return found


def figures(
    seen: dict[str, Seen], known: list[Known]
) -> dict[str, dict[str, dict[str, int]]]:
    """Return counts for the tables of the documentation.

    :returns: `areas`: by module, how many tests of each outcome; `reasons`:
        by outcome and reason, how many tests.
    """
    areas: dict[str, dict[str, int]] = {}
    reasons: dict[str, dict[str, int]] = {}
    for name, one in seen.items():
        area = areas.setdefault(name.rsplit('.', 2)[0], {})
        area[one.outcome] = area.get(one.outcome, 0) + 1
        if one.outcome != PASSED:
            reason = next(
                (entry.reason for entry in known if entry.names(name)), ''
            )
            some = reasons.setdefault(one.outcome, {})
            some[reason] = some.get(reason, 0) + 1
    return {'areas': areas, 'reasons': reasons}
