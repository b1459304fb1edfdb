# SPDX-License-Identifier: Apache-2.0
"""What other settings lead to: refused with a remedy, or worked out.

All of it by devstack's own functions, after phase pre-install of stack.sh.
"""

import pathlib

import fixtures

from tests.devstack import case, machine
from zsbm_ironic.lab import machines
from zsbm_ironic.machine import spec

MACHINES = f'{machine.HOME}/machines.toml'
REFUSED = {
    'IRONIC_VM_COUNT=many; check_zsbm_settings': 'Set it to a number',
    'USER_UNITS=True; check_zsbm_settings': 'Set USER_UNITS=False',
    'IRONIC_BAREMETAL_BASIC_OPS=True; IRONIC_IS_HARDWARE=False; '
    'check_zsbm_settings': 'Set IRONIC_IS_HARDWARE=True',
    'ZSBM_MACHINES_FILE=/none; check_zsbm_settings': 'Name a file',
    'IRONIC_PROVISION_ALLOCATION_POOL=10.0.5.10-20; check_zsbm_settings': (
        'Set it as in start='
    ),
    'ZSBM_BMC_PROTOCOL=telnet; check_zsbm_settings': 'Set it to redfish',
    'ZSBM_HTTP_PORT=$IRONIC_HTTP_PORT; check_zsbm_settings': (
        'Set ZSBM_HTTP_PORT to another'
    ),
    'ZSBM_NETBOOT_USER=root; check_zsbm_settings': 'an account of its own',
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
TEMPEST = (
    f'enable_service tempest; TEMPEST_CONFIG={machine.HOME}/tempest.conf; '
    'IRONIC_VM_SPECS_DISK=7; configure_zsbm_tempest; '
    'iniget $TEMPEST_CONFIG baremetal adjusted_root_disk_size_gb'
)
AS_ROOT = (
    'export PIP_CERT=/its/own SSL_CERT_FILE=/one; '
    '_zsbm_as_root printenv PIP_CERT SSL_CERT_FILE ZSBM_LAB_DIR'
)
# In place of the builder, which takes minutes: it is there twice, since what
# was built is not taken for what local.conf names; and clean deletes it.
BUILDER = f"""#!/bin/sh
echo "$*" >> {machine.HOME}/built
echo '{{"ramdisk": {{"kernel": "/etc/hostname", "initramfs": "/etc/hosts"}}}}'
"""
BUILT = (
    f'IRONIC_BIN_DIR={machine.HOME}/builder; IRONIC_BUILD_DEPLOY_RAMDISK=True;'
    'install -d $ZSBM_DATA_DIR; IRONIC_DEPLOY_KERNEL=$HOME/agent/made.kernel; '
    'IRONIC_DEPLOY_RAMDISK=$HOME/agent/made.initramfs; '
    'prepare_zsbm_ramdisk; prepare_zsbm_ramdisk; '
    'cmp $IRONIC_DEPLOY_KERNEL /etc/hostname; '
    'cmp $IRONIC_DEPLOY_RAMDISK /etc/hosts; '
    'cleanup_zsbm > /dev/null 2>&1; ls $HOME/agent'
)
# A folder of others, named as ours.
OTHERS = (
    'ZSBM_DATA_DIR=$HOME/others; ZSBM_CONF_DIR=$HOME/others; '
    'install -d $HOME/others/desired; touch $HOME/others/of-somebody; '
    'cleanup_zsbm > /dev/null 2>&1; ls $HOME/others'
)


class SettingsTest(case.MachineCase):
    @classmethod
    def play(cls, one):
        one.put(f'{machine.HOME}/builder/python3', BUILDER, 0o755)
        some = (NEUTRON, TENANTS, LISTS, ALIKE, AS_ROOT, TEMPEST)
        tried = one.phases('try', *REFUSED, *some, BUILT, OTHERS)
        cls.answers = dict(
            part.partition('\n')[::2] for part in tried.split('\n== ')[1:]
        )
        cls.machines = one.read(MACHINES)
        cls.built = one.read(f'{machine.HOME}/built')

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

    def test_tempest_knows_how_large_our_disks_are(self):
        self.assertEqual('7', self.answers[TEMPEST].strip())

    def test_root_reaches_archives_as_the_user_does(self):
        self.assertEqual(
            f'/its/own /one {machine.HOME}/data/zsbm-ironic/lab'.split(),
            self.answers[AS_ROOT].split(),
        )

    def test_a_ramdisk_is_built_and_goes_again(self):
        self.assertEqual(
            2 * ['-m zsbm_ironic.lab.images ramdisk'], self.built.splitlines()
        )
        self.assertEqual(['initramfs', 'kernel'], self.answers[BUILT].split())

    def test_what_is_of_others_stays(self):
        self.assertEqual('of-somebody', self.answers[OTHERS].strip())

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
