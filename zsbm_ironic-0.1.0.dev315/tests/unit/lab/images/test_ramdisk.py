# SPDX-License-Identifier: Apache-2.0
"""What goes into the deploy ramdisk, checked without building one."""

import importlib.metadata
import io
import pathlib
import re
import stat
import subprocess
import sys
import zipfile

import fixtures
from oslotest import base

from zsbm_ironic.common import exception
from zsbm_ironic.image import newc
from zsbm_ironic.lab.images import debian, modules, payload, ramdisk

SCRIPTS = (
    'ramdisk/init',
    'ramdisk/udhcpc',
    'ramdisk/power',
    'os/zsbm-firstboot',
    'os/zsbm-grow',
    'os/zsbm-ready',
)
COLLECTOR = 'zsbm_ironic.ramdisk.inspection:collect'
MANAGER = 'zsbm_ironic.ramdisk.manager:ZsbmHardwareManager'


class TestModules(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (self.folder / 'modules.dep').write_text(
            'kernel/net/a-b.ko: kernel/lib/c.ko\n'
            'kernel/lib/c.ko:\n'
            'kernel/net/d.ko: kernel/net/a-b.ko kernel/lib/c.ko\n'
            'kernel/crypto/soft.ko:\n'
            'kernel/other/e.ko:\n'
        )
        (self.folder / 'modules.softdep').write_text(
            '# comment\nsoftdep c pre: soft gone\n'
        )
        (self.folder / 'modules.builtin').write_text('kernel/fs/in.ko\n')

    def closure(self, *wanted):
        return modules.closure(self.folder, wanted)

    def test_what_a_module_needs_comes_along(self):
        self.assertEqual(
            {'kernel/net/a-b.ko', 'kernel/lib/c.ko', 'kernel/crypto/soft.ko'},
            self.closure('a_b'),
        )

    def test_a_folder_is_all_that_is_in_it(self):
        self.assertEqual(
            {
                'kernel/net/a-b.ko',
                'kernel/net/d.ko',
                'kernel/lib/c.ko',
                'kernel/crypto/soft.ko',
            },
            self.closure('net/'),
        )

    def test_what_is_built_in_needs_no_file(self):
        self.assertEqual(set(), self.closure('in'))

    def test_an_unknown_name_is_an_error(self):
        for name in ('nosuch', 'nosuch/'):
            found = self.assertRaises(
                exception.BuildFailed, self.closure, name
            )
            self.assertIn(name, str(found))


class TestNewc(base.BaseTestCase):
    def test_cpio_reads_what_was_written(self):
        target = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        sink = io.BytesIO()
        writer = newc.Writer(sink)
        writer.add('d', stat.S_IFDIR | 0o755)
        writer.add('d/file', stat.S_IFREG | 0o640, b'12345')
        writer.add('d/link', stat.S_IFLNK | 0o777, b'file')
        writer.close()
        subprocess.run(
            ['cpio', '--extract', '--quiet', '--no-preserve-owner'],
            cwd=target,
            input=sink.getvalue(),
            check=True,
        )
        self.assertEqual('12345', (target / 'd' / 'link').read_text())
        mode = (target / 'd' / 'file').stat().st_mode
        self.assertEqual(0o640, stat.S_IMODE(mode))

    def test_the_same_tree_gives_the_same_bytes(self):
        root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name in 'cab':
            (root / name).mkdir()
            (root / name / 'file').write_text(name)
        archives = []
        for _ in range(2):
            sink = io.BytesIO()
            newc.Writer(sink).add_tree(root)
            archives.append(sink.getvalue())
        self.assertEqual(archives[0], archives[1])
        self.assertIn(b'a/file', archives[0])


class TestPayload(base.BaseTestCase):
    def test_in_band_rooms_come_along_and_the_others_do_not(self):
        rooms = {
            pathlib.PurePath(name).parts[1]
            for name in payload.collect()
            if name.startswith('zsbm_ironic/')
        }
        self.assertLessEqual({'ramdisk', 'common', '__init__.py'}, rooms)
        self.assertEqual(set(), rooms & set(payload.ROOMS_LEFT_OUT))

    def load(self, files):
        """Put files in a folder and load the manager by its entry point."""
        site = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        for name, content in files.items():
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            (site / name).write_bytes(content)
        (found,) = importlib.metadata.distributions(
            name='zsbm-ironic', path=[str(site)]
        )
        points = {one.group: one.value for one in found.entry_points}
        self.assertEqual(
            {
                'ironic_python_agent.hardware_managers': MANAGER,
                'ironic_python_agent.inspector.collectors': COLLECTOR,
            },
            points,
        )
        code = f'import sys; sys.path.insert(0, {str(site)!r}); '
        code += 'import zsbm_ironic.ramdisk.manager as m; print(m.__file__)'
        done = subprocess.run(
            [sys.executable, '-c', code],
            cwd=site,
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertTrue(done.stdout.startswith(str(site)), done.stdout)
        return found.version

    def test_the_manager_loads_from_these_files_alone(self):
        version = self.load(payload.collect())
        self.assertEqual(importlib.metadata.version('zsbm-ironic'), version)

    def test_a_wheel_gives_the_same(self):
        running = payload.collect()
        wheel = pathlib.Path(self.useFixture(fixtures.TempDir()).path, 'w.whl')
        with zipfile.ZipFile(wheel, 'w') as archive:
            for name, content in running.items():
                archive.writestr(name, content)
            archive.writestr('zsbm_ironic/lab/cli.py', '')
        self.assertEqual(running, payload.collect(wheel))

    def test_another_file_is_refused_by_name(self):
        other = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path, 'other.whl'
        )
        other.write_text('no wheel')
        found = self.assertRaises(
            exception.BuildFailed, payload.collect, other
        )
        self.assertIn(str(other), str(found))

    def test_byte_code_is_found_beside_its_source(self):
        name = 'zsbm_ironic/ramdisk/version.py'
        compiled = ramdisk.compiled({name: payload.collect()[name]})
        if sys.version_info[:2] == (3, 11):
            self.assertEqual(
                ['zsbm_ironic/ramdisk/__pycache__/version.cpython-311.pyc'],
                list(compiled),
            )
        else:
            self.assertEqual({}, compiled)


class TestData(base.BaseTestCase):
    def test_every_requirement_of_the_ramdisk_is_pinned(self):
        pins = {
            line.partition('==')[0]
            for line in debian.package_list('ramdisk/requirements.txt')
        }
        found = importlib.metadata.requires('zsbm-ironic') or []
        wanted = {
            re.split(r'[^A-Za-z0-9._-]', line)[0].lower().replace('.', '-')
            for line in found
            if 'extra ==' not in line or "'ramdisk'" in line.replace('"', "'")
        }
        self.assertIn('ironic-python-agent', wanted)
        self.assertEqual(set(), wanted - pins)

    def test_lists_name_nothing_twice(self):
        for name in (
            'ramdisk/modules.txt',
            'ramdisk/packages.txt',
            'ramdisk/requirements.txt',
            'os/packages.txt',
            'os/initramfs-modules.txt',
        ):
            entries = debian.package_list(name)
            self.assertEqual(sorted(set(entries)), sorted(entries), name)

    def test_the_shell_reads_every_script(self):
        for name in SCRIPTS:
            subprocess.run(
                ['sh', '-n'], input=debian.data(name).encode(), check=True
            )

    def test_every_packaged_file_of_the_ramdisk_is_there(self):
        for name, _ in ramdisk.FILES.values():
            self.assertTrue(debian.data(f'ramdisk/{name}'), name)
