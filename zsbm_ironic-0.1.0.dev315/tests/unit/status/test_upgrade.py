# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status upgrade check`, and the table of supported releases."""

import configparser
import importlib.metadata
import pathlib
import platform

import testtools

from tests.unit.status import base
from zsbm_ironic.status import releases, upgrade

TOP = pathlib.Path(__file__).resolve().parents[3]


class UpgradeTest(base.StatusTestCase):
    def test_option_that_nothing_reads_any_more(self) -> None:
        file = self.file(
            '[zsbm_netboot]\ninterface = eth1\nformer_option = 3\n'
            '[zsbm_gone]\nx = 1\n[pxe]\nunknown = 1\n'
        )
        self.assertEqual(
            {'[zsbm_netboot]former_option', '[zsbm_gone]x'},
            upgrade.unknown_options([file]),
        )

    def test_configuration_without_us_is_a_failure(self) -> None:
        status, out, _err = self.run_status(
            'upgrade', 'check', '--config-file', self.file('')
        )
        self.assertEqual(2, status)
        self.assertIn('enabled_hardware_types', out)


class ReleasesTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.setup = configparser.ConfigParser()
        self.setup.read(TOP / 'setup.cfg')

    def test_table_is_what_the_package_asks_for(self) -> None:
        for component, extra in (
            (releases.IRONIC, 'conductor'),
            (releases.AGENT, 'ramdisk'),
        ):
            first = '.'.join(map(str, component.first))
            below = '.'.join(map(str, component.below))
            self.assertIn(
                f'{component.name}>={first},<{below}',
                self.setup['extras'][extra],
            )

    def test_python_versions_are_those_of_the_classifiers(self) -> None:
        classifiers = self.setup['metadata']['classifier'].splitlines()
        found = {
            line.rsplit(' ', 1)[1]
            for line in classifiers
            if 'Python :: 3.' in line
        }
        first, below = releases.PYTHON.first, releases.PYTHON.below
        wanted = {f'3.{minor}' for minor in range(first[1], below[1])}
        self.assertEqual(wanted, found)

    def test_installed_versions_are_tested_ones(self) -> None:
        for component in (releases.IRONIC, releases.AGENT):
            version = importlib.metadata.version(component.name)
            self.assertTrue(component.includes(version))
            self.assertIn(version, component.tested)
        self.assertTrue(releases.PYTHON.includes(platform.python_version()))

    def test_next_major_release_is_not_included(self) -> None:
        self.assertFalse(releases.IRONIC.includes('40.0.0'))
        self.assertFalse(releases.IRONIC.includes('38.1.0'))
        self.assertTrue(releases.IRONIC.includes('39.2.1'))
