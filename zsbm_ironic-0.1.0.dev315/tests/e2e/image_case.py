# SPDX-License-Identifier: Apache-2.0
"""Shows an image where it does not boot, and boots after a conversion."""

import json
import pathlib
import time

import fixtures
import testtools

from tests.e2e import figures
from zsbm_ironic.common import artifacts, process
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.images import ramdisk
from zsbm_ironic.lab.vm_images import build, metal, specimens

METAL = ('bios-sata', 'uefi-nvme')
# Longer than any of them needs to boot, or to give up.
BOOT_S = 600


class ImageCase(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cache = artifacts.Artifacts(
            layout.Layout.from_environment().cache
        )
        self.figures = self.useFixture(figures.Figures())

    def shown(
        self, name, *, vm='vm-bios', on=METAL, guest=False, worst='unfit'
    ):
        """Show an image of the table where it has to boot.

        :param on: servers.
        :param vm: where it boots as before; None where nobody looks.
        :param guest: a machine of its own adapts it.
        :param worst: what check says of it, as it is, on one of the servers:
            unfit (it does not come up), warn (nobody can reach it).
        """
        image = build.build(self.cache, specimens.by_name(name))
        interface = image.specimen.interface
        found = [self.as_it_is(image.path, place, interface) for place in on]
        self.assertIn(worst, found)
        output = self.folder / 'metal.qcow2'
        self.convert(image.path, output, on, guest)
        for place in filter(None, (*on, vm)):
            # Nobody told it here which MAC the server has.
            _, keys = self.judged(output, place)
            self.assertLessEqual(keys, {'nic-names'})
            self.figures[place] = self.boots(output, place, name, interface)
        # It is what it should be: nothing is left to change.
        again = self.folder / 'again.qcow2'
        changes = self.convert(output, again, on, guest)['changes']
        self.assertEqual([], changes)

    def judged(self, path, place):
        """Return what check says of it there, with the keys of findings."""
        done = process.run(
            ['zsbm-image', 'check', str(path), '--hardware', place]
            + ['-f', 'json'],
            timeout_s=120,
            check=False,
        )
        self.assertIn(done.returncode, (0, 3, 4), done.stderr)
        (verdict,) = json.loads(done.stdout)['verdicts'].values()
        return verdict['verdict'], {one['key'] for one in verdict['findings']}

    def as_it_is(self, path, place, interface):
        """Return what check says of it there, once a boot has shown it."""
        verdict, _ = self.judged(path, place)
        try:
            line = metal.boot(path, place, BOOT_S)
        except lab_exception.LabProcessFailed as exc:
            self.assertEqual('unfit', verdict)
            line = str(exc).strip().splitlines()[-1].strip()[-120:]
        else:
            self.assertEqual('warn', verdict, line)
            self.assertNotIn(f' {interface}=10.', line)
        self.figures[f'{place} before'] = line
        return verdict

    def boots(self, path, place, name, interface):
        """Return the seconds until the network is up under its own name."""
        began = time.monotonic()
        line = metal.boot(path, place, BOOT_S)
        self.assertIn(f'ready {name}', line)
        self.assertRegex(line, rf' {interface}=10\.0\.2\.\d+')
        return round(time.monotonic() - began, 1)

    def convert(self, path, output, on, guest):
        """Convert as a person does; return the report."""
        words = []
        if guest:
            found = ramdisk.build(self.cache)
            words += ['--kernel', str(found.kernel)]
            words += ['--initramfs', str(found.initramfs)]
        began = time.monotonic()
        done = process.run(
            ['zsbm-image', 'convert', str(path), str(output)]
            + ['--mac', metal.MAC, '-f', 'json']
            + ['--cache', str(self.cache.root)]
            + [word for place in on for word in ('--hardware', place)]
            + words,
            timeout_s=900,
        )
        if 'convert_s' not in self.figures.found:
            self.figures['convert_s'] = round(time.monotonic() - began, 1)
        report = json.loads(done.stdout)
        for verdict in report['verdicts'].values():
            self.assertEqual('fit', verdict['verdict'])
        return report
