# SPDX-License-Identifier: Apache-2.0
"""Servers and their systems in a real Prometheus, none of it a minute old.

A server is deployed with one switch, from an image with cloud-init and without
an exporter. Prometheus, nginx and the archive that cloud-init installs from
are in the lab's network, configured as documented.
"""

import json
import re
import shutil
import time

import yaml
from testtools import content

from tests.e2e import base, figures, package_archive
from tests.functional import watch
from zsbm_ironic.lab import demo, layout, lifecycle, monitoring, network
from zsbm_ironic.lab.vm_images import roots, specimens

FIRST_BOOT_S = 1200
# How old a figure may be, and how long one may be there that should not.
LIMIT_S = 60
WATCH_S = 120
OWNER = 'racks'
# What cloud-init says on the console.
FINISHED = re.compile(r'Cloud-init v\. \S+ finished')
FAILED = re.compile(r'Failed .*vendor')
INSTALLED = {'prometheus-node-exporter', 'curl'}
# Nothing fails where these are not to be had.
WELCOME = {'prometheus-node-exporter-collectors', 'smartmontools'}
BMC = (
    'baremetal_up',
    'baremetal_power_state',
    'baremetal_temperature_celsius',
)
SYSTEM = (
    'node_load1',
    'node_memory_MemAvailable_bytes',
    'node_filesystem_avail_bytes',
    'node_network_receive_bytes_total',
)


class WatchedTest(base.LabTest):
    plan = lifecycle.Plan(raw_images=False, monitoring=True)

    def setUp(self):
        super().setUp()
        self.figures = self.useFixture(figures.Figures())
        self.archive = self.useFixture(
            package_archive.Archive('bookworm', sorted(INSTALLED | WELCOME))
        )
        documented = yaml.safe_load(
            (watch.DOCS / 'prometheus.yml').read_text()
        )
        self.prometheus = self.inside(
            watch.Prometheus(
                documented['scrape_configs'], pace=documented['global']
            )
        )

    def inside(self, fixture):
        """Return a fixture that is set up in the lab's network."""
        return network.call(lambda: self.useFixture(fixture))

    def vector(self, query):
        return network.call(lambda: self.prometheus.vector(query))

    def test_pulled(self):
        server = self.deployed('metal-uefi', 'pull')
        labels = self.watched(server)
        address, _, port = labels['instance'].rpartition(':')
        self.assertTrue(address.startswith(layout.SERVER_NETWORK), labels)
        self.assertEqual('9100', port)

    def test_pushed(self):
        nginx = self.inside(
            watch.Nginx(
                monitoring.PUSH_PORT,
                monitoring.PUSH_LISTEN,
                layout.CONDUCTOR_ADDRESSES[0],
            )
        )
        conductor = self.lab.conductor(1, self.lab.built())
        shutil.copyfile(nginx.certificate, conductor.root / monitoring.CA_FILE)
        server = self.deployed('metal-bios', 'push')
        labels = self.watched(server)
        self.assertEqual(labels['node_uuid'], labels['instance'])

    def deployed(self, name, how):
        """Deploy a server whose system is to be watched."""
        server = self.server(name)
        image = self.vm_image(specimens.CLOUD_INIT.name)
        self.assertEqual(set(), INSTALLED & self.packages_of(image))
        demo.make_available(server)
        server.describe_instance(image)
        server.baremetal(
            *('node', 'set', name, '--owner', OWNER),
            *('--instance-info', f'zsbm_os_metrics={how}'),
        )
        drive = server.config_drive()
        # Its address is leased, as where nobody says otherwise.
        del drive['network_data']
        told = {
            'apt': {
                'preserve_sources_list': False,
                'sources_list': f'{self.archive.line}\n',
            }
        }
        drive['user_data'] = f'#cloud-config\n{json.dumps(told)}\n'
        self.log = server.folder / 'serial.log'
        self.before = self.log.stat().st_size
        self.addOnException(self.tell_console)
        server.provision('deploy', '--config-drive', json.dumps(drive))
        return server

    def packages_of(self, image):
        """Return the names of the packages in an image."""
        root = roots.build(self.lab.cache(), image.specimen.system)
        lines = (root / roots.PACKAGES).read_text().splitlines()
        return {line.split()[0].partition(':')[0] for line in lines}

    def console(self):
        """Return what the server printed since it was to be deployed."""
        with self.log.open('rb') as log:
            log.seek(self.before)
            return log.read().decode(errors='replace')

    def tell_console(self, _):
        text = self.console()[-8000:]
        self.addDetail('console', content.text_content(text))

    def installed(self, name):
        """Wait until cloud-init has run all that it was told."""
        began = time.monotonic()
        self.wait_for(
            lambda: FINISHED.search(self.console()),
            'cloud-init does not end',
            FIRST_BOOT_S,
        )
        self.figures[f'{name} system, cloud-init ended after'] = round(
            time.monotonic() - began
        )
        self.assertIsNone(FAILED.search(self.console()))
        self.assertLessEqual(INSTALLED, self.archive.fetched())

    def watched(self, server):
        """Find what is told of a server; return the labels of its system."""
        name, uuid = server.machine.name, server.field('uuid')
        node = f'node_uuid="{uuid}"'
        self.installed(name)
        self.wait_for(
            lambda: self.vector(f'node_load1{{{node}}}'),
            'nothing of the system',
            LIMIT_S,
        )
        self.young({'BMC': of_bmc(node), 'system': of_system(node)}, name)
        ((labels, _),) = self.vector(f'node_load1{{{node}}}')
        ((info, _),) = self.vector(f'baremetal_node_info{{{node}}}')
        for told in (labels, info):
            self.assertEqual(
                (uuid, name, OWNER),
                (told['node_uuid'], told['node_name'], told['owner']),
            )
        self.off(server, node)
        return labels

    def off(self, server, node):
        """Switch a server off: its BMC goes on, its system is gone."""
        name = server.machine.name
        server.baremetal('node', 'power', 'off', name)
        began = time.monotonic()
        answers = f'up{{job="baremetal-os",{node}}} == 1'
        self.wait_for(
            lambda: not self.vector(f'node_load1{{{node}}} or {answers}'),
            'the system is off and still there',
            LIMIT_S,
        )
        self.figures[f'{name} system, gone after'] = round(
            time.monotonic() - began
        )
        self.wait_for(
            lambda: self.vector(f'baremetal_power_state{{{node}}} == 0'),
            'the server is off and still told to be on',
            LIMIT_S,
        )
        self.young({'BMC, off': of_bmc(node)}, name)

    def young(self, queries, server):
        """Look at ages for a while: none is over the limit, nor missing.

        :param queries: by name of a figure, by whose they are.
        """
        oldest = dict.fromkeys(queries, 0.0)
        deadline = time.monotonic() + WATCH_S
        while time.monotonic() < deadline:
            for whose, asked in queries.items():
                for name, query in asked.items():
                    ages = [age for _, age in self.vector(query)]
                    self.assertNotEqual([], ages, f'{whose}: no {name}')
                    oldest[whose] = max(oldest[whose], *ages)
            time.sleep(1)
        for whose, age in oldest.items():
            self.figures[f'{server} {whose}, oldest figure'] = round(age, 1)
            self.assertLessEqual(age, LIMIT_S, whose)


def of_bmc(node):
    """Return queries of the ages of what a BMC tells, by its name."""
    age = f'(time() - baremetal_reading_timestamp_seconds{{{node}}})'
    return {name: f'{age} and on (node_uuid) {name}{{{node}}}' for name in BMC}


def of_system(node):
    """Return queries of the ages of what a system tells, by its name.

    Two clocks: when Prometheus got it, and when the system told it.
    """
    return {
        **{name: f'time() - timestamp({name}{{{node}}})' for name in SYSTEM},
        'node_time_seconds': f'time() - node_time_seconds{{{node}}}',
    }
