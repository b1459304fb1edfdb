# SPDX-License-Identifier: Apache-2.0
"""The systems of servers under watch: found, scraped, or pushing.

What an exporter in a system serves is recorded here, and served at an address
of loopback for each server; all that reads it is real: the conductor, nginx,
curl, Prometheus with the configuration of our documentation, Alertmanager.
"""

import base64
import contextlib
import gzip
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time
import unittest

import fixtures
import pycdlib
import requests
import yaml

from tests import bmcs
from tests.functional import alert_case, test_deploy, watch
from tests.functional.alert_case import RACKS, SHOP
from zsbm_ironic.lab.emulator import fixtures as emulated

# What is well, by the name of a figure and its labels.
WELL = {
    'node_load1': 0.2,
    'node_boot_time_seconds': 1.7e9,
    'node_memory_MemTotal_bytes': 100,
    'node_memory_MemAvailable_bytes': 50,
    'node_filesystem_size_bytes{fstype="ext4",mountpoint="/"}': 100,
    'node_filesystem_avail_bytes{fstype="ext4",mountpoint="/"}': 50,
    'smartmon_device_smart_healthy{disk="/dev/sda"}': 1,
    'node_edac_uncorrectable_errors_total{controller="0"}': 3,
    'node_network_carrier{device="eth0"}': 1,
    'node_network_carrier{device="eth1"}': 0,
    'node_bonding_slaves{master="bond0"}': 2,
    'node_bonding_active{master="bond0"}': 2,
    'node_timex_offset_seconds': 0.001,
    'node_timex_sync_status': 1,
}
# What counts up by itself, by second.
COUNTING = {
    'node_cpu_seconds_total{cpu="0",mode="idle"}': 0.9,
    'node_cpu_seconds_total{cpu="0",mode="user"}': 0.1,
    'node_disk_read_bytes_total{device="sda"}': 4096,
    'node_disk_written_bytes_total{device="sda"}': 4096,
    'node_network_receive_bytes_total{device="eth0"}': 1e6,
    'node_network_transmit_bytes_total{device="eth0"}': 1e6,
    'node_network_receive_packets_total{device="eth0"}': 1000,
    'node_network_receive_errs_total{device="eth0"}': 0,
}
# Name of a server -> what is not well, the alert, whom it concerns and what
# they are told.
FAULTS = {
    'full': (
        {'node_filesystem_avail_bytes{fstype="ext4",mountpoint="/"}': 7},
        ('DiskFull', SHOP, '/ of full has 7% left.'),
    ),
    'smart': (
        {'smartmon_device_smart_healthy{disk="/dev/sda"}': 0},
        (
            'DiskFailing',
            RACKS,
            '/dev/sda of smart says by SMART that it is failing.',
        ),
    ),
    'memory': (
        {'node_memory_MemAvailable_bytes': 2},
        ('MemoryFull', SHOP, 'memory has 2% of its memory left.'),
    ),
    'edac': (
        {'node_edac_uncorrectable_errors_total{controller="0"}': 4},
        (
            'MemoryUncorrectable',
            RACKS,
            'Memory of edac has errors that it cannot correct.',
        ),
    ),
    'link': (
        {'node_network_carrier{device="eth0"}': 0},
        ('LinkDown', RACKS, 'eth0 of link has lost its link.'),
    ),
    'cable': (
        {'node_network_receive_errs_total{device="eth0"}': 100},
        ('LinkBroken', RACKS, ' of what eth0 of cable gets is'),
    ),
    'bond': (
        {'node_bonding_active{master="bond0"}': 1},
        (
            'BondDegraded',
            RACKS,
            '1 links of bond0 of bond are down.',
        ),
    ),
    'late': (
        {'node_timex_offset_seconds': -2},
        ('ClockWrong', SHOP, 'The clock of late is off by 2s.'),
    ),
    'alone': (
        {'node_timex_sync_status': 0},
        (
            'ClockNotSynchronised',
            SHOP,
            'The clock of alone follows no time source.',
        ),
    ),
    'silent': (
        None,
        (
            'SystemSilent',
            SHOP,
            'The system of silent does not answer, and the server is on.',
        ),
    ),
}


class System(fixtures.Fixture):
    """What an exporter serves in the system of one server.

    :ivar told: figures that are not as in WELL and COUNTING; None: silence.
    :ivar elsewhere: URL where it says that its figures are.
    """

    def __init__(self, address, port):
        super().__init__()
        self._place = (address, port)
        self.told, self.elsewhere = {}, None

    def text(self):
        """Return its figures."""
        seconds = time.monotonic()
        told = self.told or {}
        lines = [
            *((name, told.get(name, value)) for name, value in WELL.items()),
            *(
                (name, told.get(name, rate) * seconds)
                for name, rate in COUNTING.items()
            ),
        ]
        return ''.join(f'{name} {value}\n' for name, value in lines)

    def _setUp(self):
        system = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if system.told is None:
                    return
                self.send_response(302 if system.elsewhere else 200)
                if system.elsewhere:
                    self.send_header('Location', system.elsewhere)
                self.end_headers()
                self.wfile.write(system.text().encode())

            def log_message(self, *words):
                pass

        server = http.server.ThreadingHTTPServer(self._place, Handler)
        server.daemon_threads = True
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)


def documented_jobs(listen):
    """Return scrape_configs of the documentation, for a test."""
    jobs = yaml.safe_load((watch.DOCS / 'prometheus.yml').read_text())[
        'scrape_configs'
    ]
    text = json.dumps(jobs).replace('127.0.0.1:9609', listen)
    return json.loads(text.replace('"30s"', '"2s"'))


@unittest.skipUnless(
    shutil.which('prometheus-alertmanager'), 'package prometheus-alertmanager'
)
class TestScraped(alert_case.AlertCase):
    """Each alert that systems give reason for, on a server of its own."""

    LIMITS = (('[10m]', '[10s]'), ('[1h]', '[60s]'))

    @classmethod
    def setUpClass(cls):
        cls.port = bmcs.free_port()
        cls.settings = {
            'os_networks': '127.77.0.0/16',
            'os_port': str(cls.port),
        }
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.systems, self.nodes = {}, {}
        for number, name in enumerate((*FAULTS, 'fine', 'mended'), 1):
            address = f'127.77.0.{number}'
            self.systems[name] = self.useFixture(System(address, self.port))
            bmc = self.useFixture(emulated.EmulatedIpmi('on', name=name))
            self.nodes[name] = self.managed(name, bmc)
            self.api.update_node(
                self.nodes[name],
                extra={'rack': 'R7'},
                resource_class='big',
                instance_info={
                    'zsbm_os_metrics': 'present',
                    'zsbm_os_address': address,
                    'image_source': 'http://127.0.0.1:1/never-fetched',
                    'image_checksum': '0' * 64,
                },
            )
            self.api.set_node_provision_state(self.nodes[name], 'adopt')
        for node in self.nodes.values():
            self.wait_for(node, 'active')
        self.api.set_node_maintenance(self.nodes['mended'])
        self.prometheus = self.useFixture(
            watch.Prometheus(
                documented_jobs(self.listen),
                self.alertmanager,
                {'limits': self.LIMITS},
            )
        )
        self.until(self.up, dict.fromkeys(self.nodes, 1.0))
        self.until_maintained(self.prometheus, 'mended')

    def up(self):
        return {
            labels['node_name']: value
            for labels, value in self.prometheus.vector(
                'up{job="baremetal-os"}'
            )
        }

    def told(self, prefix=''):
        return {
            (alert, to)
            for alert, to, text in (one for _, one in FAULTS.values())
            for recipient, subject in self.sink.mails
            if subject.startswith('Over: ') == bool(prefix)
            and text in subject
            and recipient == to
        }

    def test_each_is_told_to_one_person_once_and_when_it_is_over(self):
        ((labels, _),) = self.prometheus.vector('node_load1{node_name="fine"}')
        self.assertEqual(
            {
                '__name__': 'node_load1',
                'instance': f'127.77.0.11:{self.port}',
                'job': 'baremetal-os',
                'node_name': 'fine',
                'node_uuid': self.nodes['fine'],
                'owner': 'racks',
                'project': 'shop',
                'rack': 'R7',
            },
            labels,
        )
        for name, (told, _) in FAULTS.items():
            self.systems[name].told = told
            if told:
                self.systems['mended'].told |= told
        expected = {(alert, to) for _, (alert, to, _) in FAULTS.values()}
        self.until(self.told, expected)
        self.assertEqual(len(FAULTS), len(self.mails()), self.mails())
        for name, (_, (alert, _, _)) in FAULTS.items():
            self.until(
                lambda name=name: self.alerts(self.nodes[name]),
                [(alert, False)],
            )
        for name in FAULTS:
            if name != 'edac':
                self.systems[name].told = {}
        self.until(lambda: self.told('Over: '), expected)
        self.assertEqual(2 * len(FAULTS), len(self.mails()), self.mails())
        self.assertEqual([], self.alerts(self.nodes['mended']))
        self.assertEqual([], self.alerts(self.nodes['fine']))
        self.panels()

    def panels(self):
        """Each panel of the dashboards has something to show."""
        self.systems['fine'].told = {}
        for title, expression in watch.panels():
            query = watch.filled(
                expression,
                __rate_interval='10s',
                node='fine',
                rack='.*',
                **{'class': '.*'},
            )
            answer = self.prometheus.get('query', query=query)
            self.assertEqual('success', answer['status'], (title, answer))
            if title not in watch.OF_FAULTS:
                self.assertNotEqual([], answer['data']['result'], title)

    def test_a_system_that_tells_of_others(self):
        """Names, labels and redirects of a system lead nowhere else."""
        fine = self.systems['fine']
        other = self.nodes['full']
        fine.told = {}
        hostile = fine.text() + (
            f'baremetal_maintenance{{node_uuid="{other}"}} 1\n'
            f'node_load15{{node_uuid="{other}",job="baremetal"}} 99\n'
            'up 1\n'
        )
        fine.text = lambda: hostile
        self.until(
            lambda: [
                (labels['node_uuid'], labels['exported_node_uuid'], value)
                for labels, value in self.prometheus.vector('node_load15')
            ],
            [(self.nodes['fine'], other, 99.0)],
        )
        # Somebody would be told no more of the other.
        self.until_maintained(self.prometheus, 'mended')
        fine.elsewhere = f'http://{self.listen}/metrics'
        self.until(lambda: self.up()['fine'], 0.0)


@unittest.skipUnless(shutil.which('prometheus'), 'package prometheus')
class TestPush(test_deploy.DeployCase):
    """From a deploy with one switch to figures in Prometheus."""

    @classmethod
    def setUpClass(cls):
        cls.listen, cls.push_listen, cls.exporter = (
            f'{bmcs.ADDRESS}:{bmcs.free_port()}' for _ in range(3)
        )
        cls.nginx = watch.Nginx(bmcs.free_port(), cls.push_listen)
        cls.nginx.setUp()
        cls.addClassCleanup(cls.nginx.cleanUp)
        cls.options = {
            **test_deploy.DeployCase.options,
            'zsbm_monitoring': {
                'enabled': 'true',
                'interval_s': str(alert_case.INTERVAL_S),
                'listen': cls.listen,
                'os_port': cls.exporter.rpartition(':')[2],
                'push_listen': cls.push_listen,
                'push_url': f'https://{bmcs.ADDRESS}:{cls.nginx.port}',
                'push_ca_file': str(cls.nginx.certificate),
            },
        }
        super().setUpClass()

    def deployed(self):
        """Deploy with the switch on; return the script that is told."""
        self.api.update_node(
            self.node,
            instance_info={
                **self.info,
                'zsbm_os_metrics': 'push',
                # The agent is to write the drive, not our part of it.
                'zsbm_adapt_image': 'never',
                'configdrive': {'user_data': '#cloud-config\nfqdn: web-3\n'},
            },
        )
        agent = self._deploy()
        self.wait_for(self.node, 'active')
        drive = pycdlib.PyCdlib()
        drive.open_fp(
            io.BytesIO(
                gzip.decompress(base64.b64decode(agent.drive_path.read_text()))
            )
        )
        self.addCleanup(drive.close)

        def read(name):
            with drive.open_file_from_iso(
                rr_path=f'/openstack/latest/{name}'
            ) as file:
                return file.read().decode()

        self.assertEqual('#cloud-config\nfqdn: web-3\n', read('user_data'))
        return json.loads(read('vendor_data2.json'))['cloud-init']

    def installed(self, script):
        """Run the script as cloud-init would; return what it left."""
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name in ('systemctl', 'prometheus-node-exporter'):
            path = root / 'bin' / name
            path.parent.mkdir(exist_ok=True)
            path.write_text('#!/bin/sh\n')
            path.chmod(0o755)
        subprocess.run(
            ['/bin/sh', '-s'],
            input=script,
            text=True,
            check=True,
            timeout=60,
            env={
                'PATH': f'{root}/bin:{os.environ["PATH"]}',
                'zsbm_root': str(root),
            },
        )
        return root / 'etc/zsbm-push'

    def push(self, folder):
        """Push once, as the timer of systemd does; return the exit status."""
        return subprocess.run(
            [folder / 'push'], check=False, timeout=60
        ).returncode

    def until(self, found, expected):
        deadline = time.monotonic() + alert_case.WAIT_S
        while (last := found()) != expected:
            if time.monotonic() > deadline:
                self.assertEqual(expected, last)
            time.sleep(0.5)

    def test_figures_of_a_system_that_nobody_reaches(self):
        script = self.deployed()
        (token,) = re.findall('zsbm_token=([A-Za-z0-9_-]+)', script)
        folder = self.installed(script)
        host, port = self.exporter.split(':')
        system = self.useFixture(System(host, int(port)))
        self.until(lambda: self.push(folder), 0)
        prometheus = self.useFixture(
            watch.Prometheus(documented_jobs(self.listen))
        )

        def figures():
            return [
                (labels['node_uuid'], labels['instance'], value)
                for labels, value in prometheus.vector(
                    'node_memory_MemTotal_bytes'
                )
            ]

        self.until(figures, [(self.node, self.node, 100.0)])
        self.nobody_else(folder, token)
        # Nothing comes any more: it is as silent as one that is scraped.
        system.told = None
        self.until(
            lambda: [
                value
                for _, value in prometheus.vector('up{job="baremetal-os"}')
            ],
            [0.0],
        )
        self.kept_by_nobody(token)
        self.api.set_node_provision_state(self.node, 'deleted')
        self.wait_for(self.node, 'available')
        system.told = {}
        self.until(
            lambda: requests.get(
                f'http://{self.listen}/sd', timeout=10
            ).json(),
            [],
        )
        self.assertEqual(401, self.pushed(token))

    def nobody_else(self, folder, token):
        """Other tokens, nodes and sizes, through nginx and past it."""
        self.assertEqual(401, self.pushed('x' * 43))
        other = self.enrol('fake-hardware', {})
        self.assertEqual(401, self.pushed(token, other))
        self.assertEqual(413, self.pushed(token, body=bytes(2 << 20)))
        self.assertEqual(413, self.pushed(token, body=bytes(1 << 20) + b'x'))
        time.sleep(6)
        self.assertEqual(
            400, self.pushed(token, body=b'node_x{node_uuid="a"} 1\n')
        )
        # One that does not know the certificate says nothing.
        self.assertRaises(
            requests.exceptions.SSLError, self.pushed, token, verify=True
        )

    def pushed(self, token, node=None, body=b'node_load1 1\n', verify=None):
        return requests.post(
            f'https://{bmcs.ADDRESS}:{self.nginx.port}'
            f'/v1/push/{node or self.node}',
            body,
            headers={'Authorization': f'Bearer {token}'},
            verify=verify or str(self.nginx.certificate),
            timeout=30,
        ).status_code

    def kept_by_nobody(self, token):
        """The token is in the server, and in nothing that Ironic keeps."""
        for path in self.ironic.root.rglob('*'):
            if path.is_file():
                with contextlib.suppress(OSError):
                    self.assertNotIn(token.encode(), path.read_bytes(), path)
        shown = requests.get(
            f'{self.ironic.url}/v1/nodes/{self.node}',
            headers=self.ironic.headers,
            timeout=30,
        ).text
        self.assertIn('zsbm_push', shown)
        self.assertNotIn(token, shown)
