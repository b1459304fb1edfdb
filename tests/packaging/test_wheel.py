# SPDX-License-Identifier: Apache-2.0
"""The wheel: version, data files, and each extra in an empty environment.

Built from an sdist, as a release is: a file that git does not know is in
neither.
"""

import atexit
import configparser
import functools
import pathlib
import shutil
import sys
import tempfile
import zipfile

import testtools
import uv

from zsbm_ironic.common import process

TOP = pathlib.Path(__file__).resolve().parents[2]
DATA = 'share/zsbm-ironic/'

# What loads with each extra; '' is the package without any. An entry point
# is `group` or `group:name`.
LOADS = {
    '': ('oslo.config.opts', 'console_scripts:zsbm-status'),
    'conductor': (
        'ironic.dhcp',
        'ironic.hardware.types',
        'ironic.hardware.interfaces.boot',
        'ironic.hardware.interfaces.deploy',
        'ironic.hardware.interfaces.management',
        'ironic.hardware.interfaces.network',
        'ironic.hardware.interfaces.power',
        'ironic.hardware.interfaces.vendor',
    ),
    'network': (),
    'ramdisk': (
        'ironic_python_agent.hardware_managers',
        'ironic_python_agent.inspector.collectors',
    ),
    'netboot': ('console_scripts:zsbm-netboot',),
    'image': ('console_scripts:zsbm-image',),
    'cli': ('openstack.baremetal.v1',),
    'lab': ('console_scripts:zsbm-lab',),
}

# What an extra must not bring along.
WITHOUT = {
    '': ('ironic', 'netmiko', 'openstacksdk', 'pyghmi'),
    'conductor': ('ironic-python-agent', 'netmiko', 'sushy-tools'),
    'network': ('ironic', 'networking-generic-switch', 'neutron', 'pyghmi'),
    'ramdisk': ('ironic', 'pyghmi', 'openstacksdk'),
    'netboot': ('ironic', 'ironic-python-agent', 'pyghmi', 'openstacksdk'),
    'image': ('ironic', 'ironic-python-agent', 'pyghmi', 'openstacksdk'),
    'cli': ('ironic', 'ironic-python-agent', 'pyghmi'),
}

LOADER = pathlib.Path(__file__).with_name('load_entry_points.py')

# The agent registers its options before it looks for hardware managers; the
# conductor imports what asks switches when it does.
IMPORT_FIRST = {
    'network': 'zsbm_ironic.network.switches.platforms',
    'ramdisk': 'ironic_python_agent.config',
}


@functools.cache
def built_wheel() -> pathlib.Path:
    """Build the wheel once for all tests."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    process.run(
        [
            *(uv.find_uv_bin(), 'build', '--quiet', '--out-dir', folder),
            *('--python', sys.executable, TOP),
            *('--build-constraint', TOP / 'constraints.txt'),
        ],
        timeout_s=180,
        cwd=TOP,
    )
    return next(pathlib.Path(folder).glob('*.whl'))


def tracked(*folders: str) -> list[str]:
    """Return the files that git knows below the folders."""
    done = process.run(
        ['git', 'ls-files', '-z', *folders], timeout_s=60, cwd=TOP
    )
    return [name for name in done.stdout.split('\0') if name]


class WheelTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.wheel = zipfile.ZipFile(built_wheel())
        self.addCleanup(self.wheel.close)
        self.names = self.wheel.namelist()

    def test_version_is_that_of_the_checkout(self) -> None:
        setup = configparser.ConfigParser()
        setup.read(TOP / 'setup.cfg')
        version = built_wheel().name.split('-')[1]
        self.assertTrue(
            version.startswith(setup['metadata']['version']), version
        )

    def test_every_module_is_in_the_wheel(self) -> None:
        for name in tracked('zsbm_ironic'):
            if (TOP / name).exists():
                self.assertIn(name, self.names)

    def test_every_data_file_opens_from_the_wheel(self) -> None:
        for name in tracked('zsbm_ironic'):
            if not name.endswith('.py') and (TOP / name).exists():
                self.assertEqual(
                    (TOP / name).read_bytes(), self.wheel.read(name), name
                )

    def test_every_shipped_file_of_etc_opens_from_the_wheel(self) -> None:
        for name in tracked('etc'):
            target = DATA + name.removeprefix('etc/')
            found = [one for one in self.names if one.endswith(target)]
            self.assertEqual(1, len(found), name)
            self.assertEqual(
                (TOP / name).read_bytes(), self.wheel.read(found[0])
            )

    def test_nothing_but_the_package_is_installed(self) -> None:
        tops = {name.split('/')[0].split('-')[0] for name in self.names}
        self.assertEqual({'zsbm_ironic'}, tops)


class ExtraTest(testtools.TestCase):
    """Each extra, installed with the pins into an environment of its own."""

    def _python(self, extra: str) -> pathlib.Path:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        tool = uv.find_uv_bin()
        process.run(
            [tool, 'venv', '-q', '--python', sys.executable, folder],
            timeout_s=60,
        )
        python = pathlib.Path(folder, 'bin', 'python')
        wheel = f'{built_wheel()}[{extra}]' if extra else str(built_wheel())
        process.run(
            [
                *(tool, 'pip', 'install', '-q', '--python', python),
                *('-c', TOP / 'constraints.txt', wheel),
            ],
            timeout_s=300,
        )
        return python

    def _check(self, extra: str) -> None:
        python = self._python(extra)
        done = process.run(
            [
                *(python, '-W', 'ignore', LOADER),
                *(IMPORT_FIRST.get(extra, '-'), *LOADS[extra]),
            ],
            timeout_s=120,
            cwd=python.parent,
        )
        loaded = done.stdout.split()
        for wanted in LOADS[extra]:
            self.assertTrue(
                any(one.startswith(wanted) for one in loaded), wanted
            )
        listed = process.run(
            [
                *(uv.find_uv_bin(), 'pip', 'list', '-q', '--python', python),
                *('--format', 'freeze'),
            ],
            timeout_s=60,
        )
        present = {line.split('==')[0] for line in listed.stdout.split()}
        self.assertEqual(set(), present & set(WITHOUT.get(extra, ())))
        for script in LOADS[extra]:
            group, _, name = script.partition(':')
            if group == 'console_scripts':
                program = python.parent / name
                done = process.run([program, '--help'], timeout_s=60)
                self.assertIn('usage', done.stdout.lower())

    def test_no_extra(self) -> None:
        self._check('')

    def test_conductor(self) -> None:
        self._check('conductor')

    def test_network(self) -> None:
        self._check('network')

    def test_ramdisk(self) -> None:
        self._check('ramdisk')

    def test_netboot(self) -> None:
        self._check('netboot')

    def test_image(self) -> None:
        self._check('image')

    def test_cli(self) -> None:
        self._check('cli')

    def test_lab(self) -> None:
        self._check('lab')

    def test_every_entry_point_and_extra_is_covered(self) -> None:
        setup = configparser.ConfigParser()
        setup.optionxform = str  # type: ignore[assignment, method-assign]
        setup.read(TOP / 'setup.cfg')
        self.assertEqual({'', *setup['extras']}, set(LOADS))
        covered = {one for wanted in LOADS.values() for one in wanted}
        for group, lines in setup['entry_points'].items():
            for line in filter(None, lines.splitlines()):
                name = line.partition('=')[0].strip()
                self.assertTrue(
                    {group, f'{group}:{name}'} & covered, f'{group}:{name}'
                )
