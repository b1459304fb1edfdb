# SPDX-License-Identifier: Apache-2.0
"""Every phase of the plugin: what it writes, twice, and that it goes again.

Real: devstack's functions and libraries, ironic's plugin with its lib/ironic
until post-config, sudo, systemctl, git; all of it in an overlay over this
machine. Not real: what would be installed, and Keystone, which is asked for
accounts. Phase extra is without machines: see test_machines.
"""

import configparser
import json
import re
import sys

from tests.devstack import case, machine

IRONIC_CONF = '/etc/ironic/ironic.conf'
ZSBM_CONF = '/etc/zsbm-ironic/zsbm.conf'
DATA = f'{machine.HOME}/data/zsbm-ironic'
UNITS = '/etc/systemd/system'
UNIT = f'{UNITS}/devstack@zsbm-netboot.service'
DROP_IN = f'{UNIT}.d/zsbm.conf'
LINK = f'{UNITS}/multi-user.target.wants/devstack@zsbm-netboot.service'
ACCOUNT = 'zsbm-netboot'
CAPABILITIES = 'CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_NET_ADMIN'
# What the plugin itself writes.
OURS = {
    '/etc/zsbm-ironic',
    ZSBM_CONF,
    DATA,
    f'{DATA}/account-made',
    f'{DATA}/desired',
    f'{DATA}/status',
    f'{DATA}/timeline',
    f'{machine.HOME}/data/ironic/hardware_info',
    UNIT,
    f'{UNIT}.d',
    DROP_IN,
    LINK,
    '/var/lib/dpkg/info/shim.list',
    '/var/lib/dpkg/info/shim.md5sums',
}
# What devstack and the plugin of ironic leave after clean, or clean.sh itself
# deletes; accounts are looked at by name.
THEIRS = re.compile(
    rf"""/etc/(apache2/|apt/|libvirt/|tmpfiles\.d/uwsgi|gitconfig$)
    |/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$
    |/etc/systemd/system/devstack@q-ovn
    |/(etc|var/lib|var/cache)/ironic
    |/var/(lib/dpkg/(available|lock|status|triggers/Lock)|log/dpkg\.log)
    |{machine.HOME}/data/(ironic|ovs|ca-bundle)
    |{machine.HOME}/(async|logs|ironic|zsbm-ironic|recorded|devstack)
    |{machine.HOME}/(\.cache|\.config)
    """,
    re.X,
)
# All of zsbm.conf, each of which is in ironic.conf too.
SETTINGS = {
    'DEFAULT': {
        'enabled_hardware_types': 'ipmi,fake-hardware,zsbm',
        'enabled_bios_interfaces': 'fake,no-bios,redfish',
        'enabled_boot_interfaces': 'fake,ipxe,zsbm-pxe,zsbm-http',
        'enabled_console_interfaces': 'fake,no-console,ipmitool-socat',
        'enabled_deploy_interfaces': 'fake,direct,ramdisk,zsbm',
        'enabled_firmware_interfaces': 'no-firmware,redfish',
        'enabled_inspect_interfaces': 'fake,agent,no-inspect',
        'enabled_network_interfaces': 'noop',
        'enabled_raid_interfaces': 'fake,agent,no-raid,redfish',
        'enabled_rescue_interfaces': 'fake,no-rescue,agent',
        'enabled_storage_interfaces': 'noop,fake',
        'enabled_vendor_interfaces': 'fake,ipmitool,no-vendor,zsbm',
    },
    'conductor': {
        'deploy_kernel': f'file://{machine.KERNEL}',
        'deploy_ramdisk': f'file://{machine.RAMDISK}',
        'rescue_kernel': f'file://{machine.KERNEL}',
        'rescue_ramdisk': f'file://{machine.RAMDISK}',
        'disable_zstandard_decompression': 'true',
    },
    'console': {'port_range': '10000:20000'},
    'deploy': {
        'http_url': 'http://10.0.5.1:8088',
        'http_root': f'{machine.HOME}/data/ironic/httpboot',
    },
    'dhcp': {'dhcp_provider': 'zsbm'},
    'inspector': {'hooks': '$default_hooks,boot-mode'},
    'pxe': {
        'tftp_server': '10.0.5.1',
        'tftp_root': f'{machine.HOME}/data/ironic/tftpboot',
    },
    'zsbm_netboot': {
        'interface': 'brbm',
        'listen_address': '10.0.5.1',
        'subnets': 'cidr:10.0.5.0/24,range:10.0.5.10-10.0.5.100,'
        'gateway:10.0.5.1',
        'tftp_root': f'{machine.HOME}/data/ironic/tftpboot',
        'http_root': f'{machine.HOME}/data/ironic/httpboot',
        'desired_dir': f'{DATA}/desired',
        'status_dir': f'{DATA}/status',
        'http_port': '8088',
        'timeline_dir': f'{DATA}/timeline',
    },
}
# As install_prereqs.sh does, which stack.sh runs first.
PREREQUISITES = 'install_package $(get_plugin_packages)'
# Loads what a conductor loads, by its own configuration.
LOAD = """
import json
from ironic.common import driver_factory, service
service.prepare_command(['load', '--config-file', '/etc/ironic/ironic.conf'])
types = driver_factory.hardware_types()
print(json.dumps({
    kind: sorted(names) for kind, names in
    driver_factory.enabled_supported_interfaces(types['zsbm']).items()}))
"""


class PhasesTest(case.MachineCase):
    """One machine: stack.sh twice, unstack.sh, clean.sh; kept in between."""

    @classmethod
    def play(cls, one):
        cls.machine = one
        cls.fresh = one.written()
        one.phases('try', PREREQUISITES)
        cls.printed = one.phases('stack')
        cls.installed = one.recorded('pip')
        cls.packages = ' '.join(one.recorded('apt-get')).split()
        cls.first = one.written()
        cls.files = {
            name: one.read(name)
            for name in (IRONIC_CONF, ZSBM_CONF, UNIT, DROP_IN)
        }
        cls.interfaces = json.loads(
            one.as_user(
                f'{sys.prefix}/bin/python3', '-W', 'ignore', '-c', LOAD
            ).splitlines()[-1]
        )
        one.phases('stack')
        cls.second = one.written()
        cls.unstacked_printed = one.phases('unstack')
        cls.unstacked = one.written()
        one.phases('clean')
        cls.cleaned = one.written()
        cls.accounts = one.read('/etc/passwd') + one.read('/etc/group')

    def option(self, name, section, option):
        """Return a value of a file that the first stack.sh wrote."""
        parser = configparser.RawConfigParser(
            strict=False, default_section='none of them'
        )
        parser.read_string(self.files[name])
        return parser.get(section, option)

    def test_override_defaults(self):
        self.assertIn('zsbm-ironic has overridden', self.printed)
        self.assertEqual(
            'ipmi,fake-hardware,zsbm',
            self.option(IRONIC_CONF, 'DEFAULT', 'enabled_hardware_types'),
        )
        self.assertEqual(
            'zsbm', self.option(IRONIC_CONF, 'dhcp', 'dhcp_provider')
        )

    def test_source(self):
        self.assertIn('Loading plugin settings', self.printed)
        self.assertEqual(
            f'{machine.VENV}/bin/zsbm-netboot --config-file {ZSBM_CONF}',
            self.option(UNIT, 'Service', 'ExecStart'),
        )

    def test_pre_install(self):
        for kind, names in (
            ('boot', 'fake,ipxe,zsbm-pxe,zsbm-http'),
            ('deploy', 'fake,direct,ramdisk,zsbm'),
            ('vendor', 'fake,ipmitool,no-vendor,zsbm'),
            ('bios', 'fake,no-bios,redfish'),
            ('rescue', 'fake,no-rescue,agent'),
            ('network', 'noop'),
            # Ironic works these out of its hardware types.
            ('management', ''),
            ('power', ''),
        ):
            self.assertEqual(
                names,
                self.option(
                    IRONIC_CONF, 'DEFAULT', f'enabled_{kind}_interfaces'
                ),
            )

    def test_install(self):
        (ours,) = [one for one in self.installed if 'zsbm-ironic' in one]
        self.assertIn(f'-e {machine.HOME}/zsbm-ironic[conductor,', ours)
        self.assertIn('-c /opt/stack/requirements/upper-constraints', ours)
        self.assertIn(f'{DATA}/account-made', self.first)

    def test_packages(self):
        for name in ('nginx-light', 'busybox', 'xinetd'):
            self.assertIn(name, self.packages)

    def test_post_config(self):
        written = configparser.RawConfigParser(default_section='none of them')
        written.read_string(self.files[ZSBM_CONF])
        self.assertEqual(
            SETTINGS,
            {name: dict(written[name]) for name in written.sections()},
        )
        for section, options in SETTINGS.items():
            for name, value in options.items():
                self.assertEqual(
                    value, self.option(IRONIC_CONF, section, name), name
                )
        self.assertEqual(
            f'/var/lib/ironic,/opt/stack/ironic,{machine.HOME}/agent',
            self.option(IRONIC_CONF, 'conductor', 'file_url_allowed_paths'),
        )
        # That of local.conf, merged after us.
        self.assertEqual(
            'raw,qcow2',
            self.option(IRONIC_CONF, 'conductor', 'permitted_image_formats'),
        )
        self.assertNotIn('change-me', self.files[ZSBM_CONF])

    def test_a_conductor_loads_all_of_it(self):
        for kind, names in (
            ('boot', {'zsbm-pxe', 'zsbm-http', 'ipxe'}),
            ('deploy', {'zsbm', 'direct', 'ramdisk'}),
            ('management', {'zsbm'}),
            ('power', {'zsbm'}),
            ('vendor', {'zsbm', 'no-vendor'}),
            ('network', {'noop'}),
        ):
            self.assertEqual(sorted(names), self.interfaces[kind])

    def test_extra(self):
        for option, value in (
            ('AmbientCapabilities', CAPABILITIES),
            ('CapabilityBoundingSet', CAPABILITIES),
            ('NoNewPrivileges', 'true'),
            ('KillMode', 'mixed'),
            ('RuntimeDirectory', 'zsbm-netboot'),
        ):
            self.assertEqual(value, self.option(DROP_IN, 'Service', option))
        for option in ('User', 'Group'):
            self.assertEqual(ACCOUNT, self.option(UNIT, 'Service', option))
        self.assertIn(LINK, self.first)

    def test_writers_of_folders(self):
        owners = {
            name: self.first[f'{DATA}/{name}'][:3]
            for name in ('desired', 'status', 'timeline')
        }
        stack = self.first[machine.HOME][1]
        service = owners['status'][1]
        self.assertNotIn(service, (0, stack))
        for name in ('desired', 'timeline'):
            self.assertEqual(('drwxr-s---', stack), owners[name][:2])
        self.assertEqual(owners['desired'][2], owners['timeline'][2])
        self.assertEqual(('drwxr-s---', service, stack), owners['status'])

    def test_what_is_written_is_ours_or_theirs(self):
        written = {
            name
            for name in set(self.first) - set(self.fresh)
            if name in OURS or not THEIRS.match(name)
        }
        self.assertEqual(OURS, written)

    def test_twice(self):
        self.assertEqual(
            {name: self.first[name] for name in (*OURS, IRONIC_CONF)},
            {name: self.second.get(name) for name in (*OURS, IRONIC_CONF)},
        )

    def test_unstack(self):
        self.assertIn('Removed', self.unstacked_printed)
        for name in (LINK, f'{UNIT}.d', DROP_IN):
            self.assertNotIn(name, self.unstacked)

    def test_clean(self):
        new = {
            name
            for name, what in self.cleaned.items()
            if self.fresh.get(name) != what
        }
        self.assertEqual(
            set(), {name for name in new if not THEIRS.match(name)}
        )
        self.assertEqual(set(), OURS & set(self.cleaned))
        self.assertNotIn('zsbm', self.accounts)
        gone = set(self.fresh) - set(self.cleaned)
        self.assertEqual(set(), gone)
