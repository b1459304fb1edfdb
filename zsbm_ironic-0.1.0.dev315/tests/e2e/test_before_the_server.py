# SPDX-License-Identifier: Apache-2.0
"""What a person learns of an image before a server is touched.

The servers are known by their inspection alone; they are off all the time.
"""

import dataclasses
import json
import shutil

from tests.e2e import base, figures
from zsbm_ironic.common import artifacts, process
from zsbm_ironic.image import loaders, verdicts
from zsbm_ironic.lab import demo, ironic, network
from zsbm_ironic.lab.vm_images import configure

BOOT_S = 420


class BeforeTheServerTest(base.LabTest):
    def setUp(self):
        super().setUp()
        self.figures = self.useFixture(figures.Figures())

    def zsbm_image(self, *words):
        """Run it as a person does who has the credentials of the cloud."""
        return process.run(
            [*network.nsenter(), ironic.executable('zsbm-image'), *words],
            timeout_s=900,
            env=demo.client_environment(),
            check=False,
        )

    def with_loaders(self):
        """Return words for a cache with boot loaders: no mirror is near."""
        folder = self.lab.folders.cache
        loaders.fetch(artifacts.Artifacts(folder))
        return ['--cache', str(folder)]

    def inspected(self, name):
        """Return a server that was inspected by this release."""
        server = self.server(name)
        demo.make_available(server)
        server.provision('manage')
        server.provision('inspect')
        server.provision('provide')
        return server

    def test_an_image_is_judged_for_a_node(self):
        self.inspected('metal-uefi')
        image = self.vm_image('debian12-mbr')
        done = self.zsbm_image(
            'check', str(image.path), '--node', 'metal-uefi', '-f', 'json'
        )
        self.assertEqual(4, done.returncode, done.stderr)
        (verdict,) = json.loads(done.stdout)['verdicts'].values()
        keys = {one['key'] for one in verdict['findings']}
        self.assertLessEqual({'no-esp', 'no-disk-driver-early'}, keys)

    def test_a_node_says_so_that_its_image_cannot_boot(self):
        server = self.inspected('metal-uefi')
        image = self.vm_image('debian12-arm64')
        folder = self.lab.folders.conductor(1) / 'state' / 'zsbm-verdicts'
        folder.mkdir(exist_ok=True)
        done = self.zsbm_image(
            *('check', str(image.path), '--node', 'metal-uefi'),
            *('--keep', str(folder)),
        )
        self.assertEqual(5, done.returncode, done.stderr)
        server.describe_instance(image)
        done = server.baremetal('node', 'validate', 'metal-uefi', '-f', 'json')
        (deploy,) = [
            one
            for one in json.loads(done.stdout)
            if one['Interface'] == 'deploy'
        ]
        self.assertFalse(deploy['Result'])
        for word in ('Node metal-uefi', 'aarch64', 'zsbm-image check'):
            self.assertIn(word, deploy['Reason'])

    def test_a_fit_image_is_not_looked_at(self):
        """One that was converted and checked costs the agent nothing.

        It has a host name, which the server would get otherwise.
        """
        server = self.inspected('metal-uefi')
        image = self.vm_image('debian12-mbr')
        folder = self.lab.folders.built / 'fit'
        folder.mkdir(exist_ok=True)
        self.addCleanup(shutil.rmtree, folder)
        fit = folder / 'fit.qcow2'
        done = self.zsbm_image(
            *('convert', str(image.path), str(fit), '--node', 'metal-uefi'),
            *self.with_loaders(),
        )
        self.assertEqual(0, done.returncode, done.stderr)
        kept = self.lab.folders.conductor(1) / 'state' / 'zsbm-verdicts'
        kept.mkdir(exist_ok=True)
        done = self.zsbm_image(
            *('check', str(fit), '--node', 'metal-uefi'),
            *('--keep', str(kept)),
        )
        self.assertEqual(0, done.returncode, done.stderr + done.stdout)
        server.describe_instance(
            dataclasses.replace(image, path=fit, sha256=verdicts.sha256(fit))
        )
        server.baremetal(
            *('node', 'set', 'metal-uefi', '--instance-info'),
            'zsbm_keep_identity=true',
        )
        server.deploy()
        self.figures['image'] = 'debian12-mbr'
        self.figures.steps('metal-uefi', self.timeline(server))
        self.assertNotIn(
            'zsbm_adapted', self.node(server)['driver_internal_info']
        )
        console = server.folder / 'serial.log'
        wanted = f'{configure.READY_MARKER} debian12-mbr '
        self.wait_for(
            lambda: wanted in console.read_text(errors='replace'),
            'it is not up',
            BOOT_S,
        )

    def test_a_boot_is_rehearsed(self):
        self.inspected('metal-uefi')
        image = self.vm_image('debian12-mbr')
        done = self.zsbm_image(
            *('rehearse', str(image.path), '--node', 'metal-uefi'),
            *('-f', 'json'),
            *self.with_loaders(),
        )
        self.assertEqual(0, done.returncode, done.stderr + done.stdout)
        outcome = json.loads(done.stdout)['metal-uefi']
        self.assertEqual('up', outcome['stage'])
        self.figures['up after'] = outcome['seconds']
        self.assertEqual([True], list(outcome['network'].values()))
        self.assertEqual([], outcome['stand_ins'])

    def test_another_architecture_is_not_rehearsed(self):
        image = self.vm_image('debian12-arm64')
        done = self.zsbm_image(
            'rehearse', str(image.path), '--hardware', 'bios-sata'
        )
        self.assertEqual(1, done.returncode)
        self.assertIn('aarch64', done.stderr)
