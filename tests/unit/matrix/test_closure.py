# SPDX-License-Identifier: Apache-2.0
"""What makes a row stale, and what does not."""

import pathlib

import fixtures
import testtools

from tests.matrix import checks, closure, results, rows
from zsbm_ironic.lab.images import payload

FILES = {
    'setup.cfg': '[entry_points]\nconsole_scripts =\n'
    '    zsbm-image = zsbm_ironic.image.cli:main\n'
    '    zsbm-lab = zsbm_ironic.lab.cli:main\n',
    'tools/test': '',
    'devstack/plugin.sh': '',
    'tests/specimen/disk.txt': '',
    'tests/__init__.py': '',
    'tests/e2e/__init__.py': '',
    'tests/e2e/base.py': '"""Like tests.e2e.other."""\n',
    'tests/e2e/other.py': '',
    'tests/e2e/test_image.py': 'from tests.e2e import base\n'
    "COMMAND = ['zsbm-image', 'check']\n",
    'tests/e2e/test_server.py': 'def test_it():\n'
    '    import zsbm_ironic.lab.ironic\n',
    'tests/e2e/test_agent.py': 'import zsbm_ironic.lab.images.payload\n',
    'tests/e2e/test_told.py': "ARGV = ['-m', 'tests.e2e.other']\n",
    'tests/e2e/test_file.py': "FILE = HERE / 'other.py'\n",
    'tests/e2e/test_text.py': "TEXT = 'Run zsbm-image, or other.py.'\n",
    'tests/devstack/test_phases.py': '',
    'tests/matrix/rows.py': 'from tests.matrix import checks\n',
    'tests/matrix/checks.py': '',
    'tests/matrix/command.py': '',
    'zsbm_ironic/__init__.py': '',
    'zsbm_ironic/bmc/pool.py': '',
    'zsbm_ironic/image/cli.py': 'from zsbm_ironic.image.convert import run\n',
    'zsbm_ironic/image/convert.py': '',
    'zsbm_ironic/image/data/kits.json': '{}',
    'zsbm_ironic/lab/cli.py': '',
    'zsbm_ironic/lab/images/payload.py': '',
    'zsbm_ironic/lab/ironic.py': '',
    'zsbm_ironic/ramdisk/manager.py': '',
}


class ClosureTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.top = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, text in FILES.items():
            (self.top / name).parent.mkdir(parents=True, exist_ok=True)
            (self.top / name).write_text(text)

    def modules(self, name):
        """Return what a row stands on beside what all rows do."""
        found = closure.of([f'tests.e2e.{name}'], FILES, self.top)
        everywhere = {
            'setup.cfg',
            'tools/test',
            'tests/specimen/disk.txt',
            'tests/__init__.py',
            'tests/e2e/__init__.py',
            'tests/matrix/rows.py',
            'tests/matrix/checks.py',
            'zsbm_ironic/image/data/kits.json',
        }
        self.assertEqual(everywhere, everywhere & found)
        return found - everywhere - {f'tests/e2e/{name}.py'}

    def test_imports_and_commands(self):
        self.assertEqual(
            {
                'tests/e2e/base.py',
                'zsbm_ironic/__init__.py',
                'zsbm_ironic/image/cli.py',
                'zsbm_ironic/image/convert.py',
            },
            self.modules('test_image'),
        )

    def test_who_starts_ironic_stands_on_the_product(self):
        product = {
            name
            for name in FILES
            if name.startswith('zsbm_ironic/') and name.endswith('.py')
        }
        self.assertEqual(product, self.modules('test_server'))

    def test_who_builds_a_ramdisk_stands_on_what_is_in_it(self):
        self.assertEqual(
            {
                'zsbm_ironic/__init__.py',
                'zsbm_ironic/image/cli.py',
                'zsbm_ironic/image/convert.py',
                'zsbm_ironic/lab/images/payload.py',
                'zsbm_ironic/ramdisk/manager.py',
            },
            self.modules('test_agent'),
        )

    def test_names_in_strings(self):
        self.assertEqual({'tests/e2e/other.py'}, self.modules('test_told'))
        self.assertEqual({'tests/e2e/other.py'}, self.modules('test_file'))

    def test_what_a_text_speaks_of(self):
        self.assertEqual(set(), self.modules('test_text'))

    def test_the_plugin_is_looked_at_by_its_own_tests(self):
        found = closure.of(['tests.devstack.test_phases'], FILES, self.top)
        self.assertIn('devstack/plugin.sh', found)
        self.assertNotIn('devstack/plugin.sh', self.modules('test_image'))

    def test_a_module_that_has_changed_is_read_again(self):
        self.assertEqual(set(), self.modules('test_text'))
        path = self.top / 'tests/e2e/test_text.py'
        path.write_text('from tests.e2e import base, other\n')
        self.assertEqual(
            {'tests/e2e/base.py', 'tests/e2e/other.py'},
            self.modules('test_text'),
        )


class HouseTest(testtools.TestCase):
    """Rows of this very checkout."""

    def setUp(self):
        super().setUp()
        self.names = {
            str(path.relative_to(checks.TOP))
            for folder in closure.FOLDERS
            for path in (checks.TOP / folder).glob('**/*.py')
        }
        self.rows = {row.title: row for row in rows.every()}

    def stands_on(self, title):
        return closure.of(self.rows[title].modules, self.names, checks.TOP)

    def test_servers_stand_on_the_whole_product(self):
        product = {
            name for name in self.names if name.startswith(closure.PRODUCT)
        }
        for title in (
            'benchmark/conductor',
            'benchmark/deploy_ipmi',
            'cloud/bond',
            'faults/disk_full',
            'first_server/bios_ipmi_deploy',
            'functional/manage',
            'lab/up_interrupted',
            'watched/pulled',
        ):
            with self.subTest(title):
                self.assertLessEqual(product, self.stands_on(title))

    def test_what_is_in_the_ramdisk_is_known(self):
        self.assertEqual(
            {
                name
                for name in payload.collect()
                if name.startswith(closure.PRODUCT) and name.endswith('.py')
            },
            {
                name
                for name in self.names
                if name.startswith(closure.IN_RAMDISK)
            },
        )

    def test_images_do_not_stand_on_bmcs(self):
        found = self.stands_on('image/debian12_mbr')
        self.assertIn('zsbm_ironic/image/convert.py', found)
        self.assertIn('zsbm_ironic/image/cli.py', found)
        self.assertNotIn('zsbm_ironic/bmc/pool.py', found)

    def test_fleets_stand_on_the_pool_and_the_emulator(self):
        for title in ('fleet/a_day', 'benchmark/fleet'):
            with self.subTest(title):
                found = self.stands_on(title)
                self.assertIn('zsbm_ironic/bmc/pool.py', found)
                self.assertIn('zsbm_ironic/lab/emulator/service.py', found)
                self.assertNotIn('zsbm_ironic/image/convert.py', found)

    def test_some_stand_on_all(self):
        for row in self.rows.values():
            if row.group in ('checks', 'fresh'):
                self.assertIsNone(row.modules)
            else:
                self.assertTrue(row.modules)

    def test_a_row_has_the_hash_of_its_own_code(self):
        row = self.rows['image/debian12_mbr']
        self.assertNotEqual(results.tree_hash(), results.tree_of(row))
