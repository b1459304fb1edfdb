# SPDX-License-Identifier: Apache-2.0
"""The plugin under the real lib/ironic alone, where no core devstack is.

bash itself says which command is not there; so far as it gets without them,
the plugin is run, and what it needs of upstream's plugin is looked up.
"""

import pathlib
import re
import subprocess

import fixtures
import testtools

from tests.devstack import sources

PLUGIN = sources.TOP / 'devstack'
OURS = ('override-defaults', 'settings', 'plugin.sh', 'lib/zsbm-ironic')
THEIRS = ('settings', 'common_settings', 'lib/ironic')
# Functions of lib/ironic that ours calls, and their arguments' meaning.
FUNCTIONS = ('get_ironic_node_prefix', 'provide_nodes', 'wait_for_nova_')
# $1 the folder that devstack calls DEST. A command that nobody has is one of
# core devstack.
RUN = """
command_not_found_handle() { echo "core: $1" >&2; }
TOP_DIR=$1 DEST=$1 DATA_DIR=$1/data STACK_USER=stack HOST_IP=127.0.0.1
TARGET_BRANCH=master PUBLIC_BRIDGE_MTU=1500
source "$2/override-defaults"
source "$2/settings"
source "$1/ironic/devstack/lib/ironic"
source "$2/plugin.sh" stack pre-install
echo "types=$IRONIC_ENABLED_HARDWARE_TYPES"
echo "driver=$IRONIC_DEPLOY_DRIVER"
echo "dhcp=$IRONIC_DHCP_PROVIDER"
echo "boot=$IRONIC_ENABLED_BOOT_INTERFACES"
echo "deploy=$IRONIC_ENABLED_DEPLOY_INTERFACES"
echo "power=$IRONIC_ENABLED_POWER_INTERFACES"
"""


class UpstreamTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.ironic = sources.ironic()
        self.theirs = ''.join(
            (self.ironic / 'devstack' / name).read_text() for name in THEIRS
        )

    def test_variables_are_those_of_lib_ironic(self):
        text = ''.join((PLUGIN / name).read_text() for name in OURS)
        names = set(re.findall(r'\bIRONIC_[A-Z_]+\b', text))
        self.assertIn('IRONIC_CONF_FILE', names)
        for name in sorted(names):
            self.assertRegex(self.theirs, rf'(?m)^\s*(export )?{name}=')

    def test_functions_are_those_of_lib_ironic(self):
        for name in FUNCTIONS:
            self.assertRegex(self.theirs, rf'(?m)^function {name}')

    def test_packages_are_among_those_of_a_checkout(self):
        known = (sources.TOP / 'bindep.txt').read_text()
        packages = PLUGIN / 'files/debs/zsbm-ironic'
        for line in packages.read_text().splitlines():
            name = line.split(' ')[0]
            if name and name not in ('#', 'util-linux'):
                self.assertRegex(known, rf'(?m)^{re.escape(name)} ')

    def test_until_pre_install(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (folder / 'ironic').symlink_to(self.ironic)
        done = subprocess.run(
            ['bash', '-c', RUN, 'run', folder, PLUGIN],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        found = dict(
            line.partition('=')[::2]
            for line in done.stdout.splitlines()
            if '=' in line
        )
        for name, value in (
            ('types', 'ipmi,fake-hardware,zsbm'),
            ('driver', 'zsbm'),
            ('dhcp', 'zsbm'),
            ('boot', 'fake,ipxe,zsbm-pxe,zsbm-http'),
            ('deploy', 'fake,direct,ramdisk,zsbm'),
            ('power', ''),
        ):
            self.assertEqual(value, found[name], name)
        for name in ('define_plugin', 'enable_service', 'trueorfalse'):
            self.assertIn(f'core: {name}', done.stderr)
