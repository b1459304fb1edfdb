# SPDX-License-Identifier: Apache-2.0
"""A real Prometheus, Alertmanager and nginx on loopback, with what we ship.

Needs Debian's packages prometheus, prometheus-alertmanager and nginx-light;
the daemons that these bring are not used: a test starts ones of its own. What
we ship waits for minutes before somebody is called; a test waits as many
seconds.
"""

import contextlib
import ipaddress
import json
import os
import pathlib
import re
import signal
import time

import fixtures
import requests
import yaml
from cryptography import x509

from tests import bmcs
from zsbm_ironic.common import process
from zsbm_ironic.monitoring import routing

TOP = pathlib.Path(__file__).parents[2]
SHIPPED = TOP / 'etc' / 'prometheus'
DOCS = TOP / 'doc' / 'source' / 'admin'
STARTING_S = 60
# What is minutes in what we ship is seconds here.
FASTER = 60
PACE = {
    'scrape_interval': '2s',
    'scrape_timeout': '2s',
    'evaluation_interval': '1s',
}
# Panels that have nothing to show where nothing is amiss.
OF_FAULTS = (
    'zsbm-fleet: What is not nominal',
    'zsbm-fleet: Switched otherwise than Ironic has it',
)
_UNITS = {'s': 1, 'm': 60, 'h': 3600}


def faster(duration):
    """Return a duration of Prometheus, a minute as a second."""
    seconds = int(duration[:-1]) * _UNITS[duration[-1]]
    return f'{max(1, round(1000 * seconds / FASTER))}ms'


def rules(folder, limits=(), keep='60s', silent=None):
    """Write the rules that we ship, with durations a test can wait for.

    :param limits: (text, text in its place) of expressions.
    :param keep: for how long alerts go on, which has to be longer than a
        busy machine leaves scrapes unanswered; None: as shipped.
    :param silent: after how long a conductor is; None: as shipped, since its
        restart takes what it takes.
    """
    changed = 0
    for path in sorted(SHIPPED.glob('*.yml')):
        document = yaml.safe_load(path.read_text())
        for group in document['groups']:
            for rule in group['rules']:
                for old, new in limits:
                    changed += old in rule['expr']
                    rule['expr'] = rule['expr'].replace(old, new)
                if 'keep_firing_for' in rule and keep:
                    rule['keep_firing_for'] = keep
                if rule.get('alert') == 'ConductorSilent':
                    rule['for'] = silent or rule['for']
                elif 'for' in rule:
                    rule['for'] = faster(rule['for'])
        (folder / path.name).write_text(yaml.safe_dump(document))
    if changed < len(limits):
        raise ValueError(f'{limits}: not in the rules')


class _Daemon(fixtures.Fixture):
    """A program of its own, that answers at `url` once it has started."""

    program: str
    environment = None

    def _setUp(self):
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.port = bmcs.free_port()
        self.address = f'{bmcs.ADDRESS}:{self.port}'
        self.url = f'http://{self.address}'
        self.addCleanup(self.end)

    def start(self):
        """Start it, and wait until it says that it is ready."""
        self._child = process.start(
            [self.program, *self.words()],
            log=self.folder / 'log',
            env=self.environment,
        )
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline and self._child.poll() is None:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f'{self.url}/-/ready', timeout=5).ok:
                    return
            time.sleep(0.2)
        raise TimeoutError((self.folder / 'log').read_text()[-3000:])

    def end(self, how=signal.SIGKILL):
        """End it; what it does not keep on disk is forgotten."""
        with contextlib.suppress(AttributeError, ProcessLookupError):
            os.killpg(self._child.pid, how)
            self._child.wait(20)


class Prometheus(_Daemon):
    """A Prometheus that scrapes some jobs, by our rules.

    :param jobs: as scrape_configs has them.
    :param alertmanager: None: nobody is told.
    :param changes: arguments of `rules`; None: rules as shipped.
    :param pace: how often it looks, as `global` has it.
    """

    program = 'prometheus'

    def __init__(self, jobs, alertmanager=None, changes=None, pace=PACE):
        super().__init__()
        self._jobs, self._changes, self._pace = jobs, changes, pace
        self._alertmanager = alertmanager

    def _setUp(self):
        super()._setUp()
        place = SHIPPED
        if self._changes is not None:
            place = self.folder / 'rules'
            place.mkdir()
            rules(place, **self._changes)
        told = {
            'global': self._pace,
            'rule_files': [f'{place}/*.yml'],
            'scrape_configs': self._jobs,
        }
        if self._alertmanager:
            told['alerting'] = {
                'alertmanagers': [
                    {
                        'static_configs': [
                            {'targets': [self._alertmanager.address]}
                        ]
                    }
                ]
            }
        (self.folder / 'prometheus.yml').write_text(yaml.safe_dump(told))
        self.start()

    def words(self):
        """Return its arguments."""
        return [
            f'--config.file={self.folder}/prometheus.yml',
            f'--storage.tsdb.path={self.folder}/data',
            f'--web.listen-address={self.address}',
            '--rules.alert.resend-delay=1s',
        ]

    def get(self, path, **words):
        """Return what its API answers."""
        answer = requests.get(f'{self.url}/api/v1/{path}', words, timeout=10)
        return answer.json()

    def vector(self, query):
        """Return [(labels, value)] of a PromQL query; [] if it is not up."""
        with contextlib.suppress(requests.ConnectionError):
            found = self.get('query', query=query)
            if found['status'] == 'success':
                return [
                    (one['metric'], float(one['value'][1]))
                    for one in found['data']['result']
                ]
        return []

    def ask(self, query):
        """Return {labels that matter: value} of a PromQL query."""
        return {
            (labels.get('node_name'), labels.get('sensor')): value
            for labels, value in self.vector(query)
        }


class Alertmanager(_Daemon):
    """An Alertmanager with what `zsbm-status routes` makes of contacts.

    :param contacts: text of contacts.toml.
    :param trusted: certificates by which it verifies who takes its mail.
    """

    program = 'prometheus-alertmanager'

    def __init__(self, contacts, trusted):
        super().__init__()
        self._contacts = contacts
        self.environment = {'SSL_CERT_FILE': str(trusted)}

    def _setUp(self):
        super()._setUp()
        contacts = self.folder / 'contacts.toml'
        contacts.write_text(self._contacts)
        told = json.loads(
            json.dumps(routing.configuration(routing.load(contacts)))
        )
        for name in ('group_wait', 'group_interval'):
            told['route'][name] = faster(told['route'][name])
        (self.folder / 'alertmanager.yml').write_text(yaml.safe_dump(told))
        self.start()

    def words(self):
        """Return its arguments."""
        return [
            f'--config.file={self.folder}/alertmanager.yml',
            f'--storage.path={self.folder}/data',
            f'--web.listen-address={self.address}',
            '--cluster.listen-address=',
        ]


class Nginx(fixtures.Fixture):
    """nginx with TLS by the configuration of our documentation."""

    def __init__(self, port, upstream, address=bmcs.ADDRESS):
        super().__init__()
        self.port, self._upstream, self._address = port, upstream, address

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        # Its workers, who are nobody, keep large bodies in it.
        folder.chmod(0o711)
        bmcs.make_certificate(
            folder,
            'push',
            san=x509.IPAddress(ipaddress.ip_address(self._address)),
        )
        self.certificate = folder / 'cert.pem'
        site = (DOCS / 'push-nginx.conf').read_text()
        for old, new in (
            ('listen 9610', f'listen {self._address}:{self.port}'),
            ('127.0.0.1:9611', self._upstream),
            ('/etc/zsbm-ironic/push.pem', str(self.certificate)),
            ('/etc/zsbm-ironic/push.key', str(folder / 'key.pem')),
        ):
            self.assertIn(old, site)
            site = site.replace(old, new)
        temporary = ''.join(
            f'{name}_temp_path {folder}/{name};\n'
            for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
        )
        (folder / 'nginx.conf').write_text(
            f'daemon off;\npid {folder}/pid;\nerror_log stderr;\n'
            'events {}\nhttp {\naccess_log off;\n'
            f'{temporary}{site}\n}}\n'
        )
        self.child = process.start(
            ['nginx', '-c', folder / 'nginx.conf', '-p', folder],
            log=folder / 'log',
        )
        self.addCleanup(self.child.wait, 20)
        self.addCleanup(self.child.terminate)

    def assertIn(self, part, whole):
        if part not in whole:
            raise AssertionError(f'no {part} in push-nginx.conf')


def panels():
    """Return the queries of both dashboards, with some server chosen."""
    found = []
    for path in sorted((TOP / 'etc' / 'grafana').glob('*.json')):
        for panel in json.loads(path.read_text())['panels']:
            for target in panel['targets']:
                found.append(
                    (f'{path.stem}: {panel["title"]}', target['expr'])
                )
    return found


def filled(expression, **variables):
    """Return a query with what Grafana puts in place of its variables."""
    return re.sub(r'\$(\w+)', lambda match: variables[match[1]], expression)
