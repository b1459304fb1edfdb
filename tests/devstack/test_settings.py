# SPDX-License-Identifier: Apache-2.0
"""What other settings lead to: refused with a remedy, or worked out.

All of it by devstack's own functions, after phase pre-install of stack.sh.
"""

import os
import pathlib

import fixtures
import testtools

from tests.devstack import machine, sources, test_phases
from zsbm_ironic.lab import machines
from zsbm_ironic.machine import spec

MACHINES = f'{machine.HOME}/machines.toml'
REFUSED = {
    'IRONIC_VM_COUNT=many; check_zsbm_settings': 'Set it to a number',
    'USER_UNITS=True; check_zsbm_settings': 'Set USER_UNITS=False',
    'IRONIC_BAREMETAL_BASIC_OPS=True; IRONIC_IS_HARDWARE=False; '
    'check_zsbm_settings': 'Set IRONIC_IS_HARDWARE=True',
    'ZSBM_MACHINES_FILE=/none; check_zsbm_settings': 'Name a file',
    'IRONIC_PROVISION_NETWORK_NAME=prov; check_zsbm_settings': (
        'Set IRONIC_PROVISION_SEGMENTATION_ID'
    ),
    'bash -c "source $TOP_DIR/functions; '
    'source $ZSBM_DIR/devstack/lib/zsbm-ironic; check_zsbm_settings"': (
        'put `enable_plugin ironic` above'
    ),
    'IRONIC_DEPLOY_KERNEL=/none; prepare_zsbm_ramdisk': (
        'or set IRONIC_BUILD_DEPLOY_RAMDISK=True'
    ),
    'IRONIC_DEPLOY_KERNEL=/none; IRONIC_BUILD_DEPLOY_RAMDISK=True; '
    'OFFLINE=True; prepare_zsbm_ramdisk': 'cannot be built with OFFLINE',
}
NEUTRON = (
    'enable_service q-svc; enable_zsbm_interfaces; enable_zsbm_interfaces; '
    'OVS_PHYSICAL_BRIDGE=br-phy; '
    'echo $IRONIC_ENABLED_NETWORK_INTERFACES $(_zsbm_subnet) '
    '$(_zsbm_network_interface) $(_zsbm_interface)'
)
TENANTS = (
    f'{NEUTRON}; IRONIC_PROVISION_NETWORK_NAME=prov; '
    'IRONIC_PROVISION_SEGMENTATION_ID=100; check_zsbm_settings; '
    'echo $(_zsbm_network_interface) $(_zsbm_interface)'
)
LISTS = (
    'IRONIC_ENABLED_POWER_INTERFACES=ipmitool; enable_zsbm_interfaces; '
    'echo $IRONIC_ENABLED_POWER_INTERFACES'
)
ALIKE = (
    'IRONIC_VM_COUNT=2; IRONIC_BOOT_MODE=bios; ZSBM_BMC_PROTOCOL=ipmi; '
    f'_zsbm_write_machines {MACHINES}'
)


class SettingsTest(testtools.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.devstack = sources.devstack()
        if cls.devstack is None or os.geteuid() != 0:
            return
        one = machine.Machine(cls.devstack)
        one.setUp()
        cls.addClassCleanup(one.cleanUp)
        tried = one.phases('try', *REFUSED, NEUTRON, TENANTS, LISTS, ALIKE)
        cls.answers = dict(
            part.partition('\n')[::2] for part in tried.split('\n== ')[1:]
        )
        cls.machines = one.read(MACHINES)

    def setUp(self):
        super().setUp()
        if self.devstack is None:
            self.skipTest(test_phases.NO_DEVSTACK)
        if os.geteuid() != 0:
            self.skipTest(test_phases.NO_ROOT)

    def test_what_would_fail_later_is_refused_with_a_remedy(self):
        for commands, remedy in REFUSED.items():
            self.assertIn(remedy, self.answers[commands])
            self.assertIn('[ERROR]', self.answers[commands])

    def test_with_neutron(self):
        self.assertEqual(
            'noop,zsbm-flat,zsbm-vpc cidr:10.0.5.0/24,gateway:10.0.5.1 '
            'zsbm-flat br-phy',
            self.answers[NEUTRON].strip(),
        )

    def test_with_networks_of_tenants(self):
        self.assertEqual(
            'zsbm-vpc br-phy.100', self.answers[TENANTS].split('\n')[1]
        )

    def test_a_list_that_somebody_set_gets_ours_too(self):
        self.assertEqual('ipmitool,zsbm', self.answers[LISTS].strip())

    def test_machines_alike(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        path = folder / 'machines.toml'
        path.write_text(self.machines)
        found = machines.load(path, folder)
        self.assertEqual(['node-0', 'node-1'], [one.name for one in found])
        for one in found:
            self.assertEqual('ipmi', one.protocol)
            self.assertEqual(spec.Firmware.BIOS, one.firmware)
            self.assertEqual(3072, one.memory_mib)
            self.assertEqual(10, one.disks[0].size_gib)
