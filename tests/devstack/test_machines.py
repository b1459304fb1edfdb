# SPDX-License-Identifier: Apache-2.0
"""Phase extra with machines: BMCs and a bridge come up, nodes are enrolled.

As test_phases, and real here: a network namespace with the bridge, taps and
BMCs, and Ironic itself as the phases configured it, but on SQLite and without
Keystone. No machine is switched on: nothing is cleaned.
"""

import json
import shlex
import sys

from tests.devstack import case, machine, test_phases

API = 'http://127.0.0.1:6385'
DATABASE = f'{machine.HOME}/ironic.sqlite'
CLOUD = 'devstack-system-admin'
CLOUDS = {
    'clouds': {
        CLOUD: {
            'auth_type': 'none',
            'auth': {'endpoint': API},
            'baremetal_endpoint_override': API,
        }
    }
}
MORE = f"""
[api]
host_ip = 127.0.0.1
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
[database]
connection = sqlite:///{DATABASE}
[service_catalog]
auth_type = none
endpoint_override = {API}

[[local|localrc]]
IRONIC_VM_COUNT=2
IRONIC_AUTOMATED_CLEAN_ENABLED=False
"""
# In place of what the plugin of ironic starts. From here on `openstack` is
# the real one.
START = f"""
PATH={machine.VENV}/bin:$PATH
rm -f {DATABASE}
ironic-dbsync --config-file $IRONIC_CONF_FILE create_schema
ironic --config-file $IRONIC_CONF_FILE > {machine.HOME}/ironic.log 2>&1 &
timeout 120 sh -c 'until wget -qO- {API}/v1/drivers | grep -q zsbm
    do sleep 1; done'
"""
# The service as its unit starts it.
SERVE = f"""
sudo install -d -o zsbm-netboot -m 0750 /run/zsbm-netboot
sudo timeout --preserve-status 8 setpriv --reuid=zsbm-netboot \
    --regid=zsbm-netboot --clear-groups --no-new-privs \
    --inh-caps=-all,+net_bind_service,+net_raw,+net_admin \
    --ambient-caps=-all,+net_bind_service,+net_raw,+net_admin \
    {machine.VENV}/bin/zsbm-netboot --config-file /etc/zsbm-ironic/zsbm.conf
sudo rm -r /run/zsbm-netboot
"""
# The same with a machine less: the rows of the first, until an empty one.
FEWER = f"""
cp {test_phases.DATA}/machines.toml two.toml
awk -v RS= 'NR == 1' two.toml > {test_phases.DATA}/machines.toml
sudo env ZSBM_LAB_DIR={test_phases.DATA}/lab \
    ZSBM_LAB_CACHE={test_phases.DATA}/cache \
    {machine.VENV}/bin/zsbm-lab up --bridge brbm \
    --bridge-address 10.0.5.1/24 --machines {test_phases.DATA}/machines.toml
sudo ls {test_phases.DATA}/lab/run > running
"""
SHOW = (
    f'{machine.VENV}/bin/openstack --os-cloud {CLOUD} baremetal node list '
    '--long -f json'
)


class MachinesTest(case.MachineCase):
    more = MORE
    network = 'own'

    @classmethod
    def play(cls, one):
        one.put(
            f'{machine.HOME}/.config/openstack/clouds.yaml',
            json.dumps(CLOUDS),
        )
        one.give(f'{machine.HOME}/.config')
        cls.fresh = one.written()
        phases = f'bash {machine.HOME}/phases.sh {machine.DEVSTACK}'
        links = 'ip -j -d address show'
        cls.printed = one.as_user(
            'bash',
            '-ec',
            f'cd; {links} > links.before\n'
            f'{phases} stack {shlex.quote(START)}\n'
            f'{SHOW} > nodes\n{links} > links.up\n{SERVE}\n'
            'sudo ls data/zsbm-ironic/status > status\n'
            f'{FEWER}\n{links} > links.fewer\n'
            f'{phases} unstack\n{links} > links.after\n'
            f'{phases} clean\n',
            BINDEP_CMD=f'{sys.prefix}/bin/bindep',
        )
        cls.read = one.read
        cls.cleaned = one.written()

    def of_home(self, name):
        """Return the text of a file that the commands left."""
        return type(self).read(f'{machine.HOME}/{name}')

    def links(self, when):
        """Return {interface: its addresses} and what was said of each."""
        found = {}
        for link in json.loads(self.of_home(f'links.{when}')):
            found[link['ifname']] = {
                f'{info["local"]}/{info["prefixlen"]}'
                for info in link['addr_info']
                if info['family'] == 'inet'
            }
        return found

    def test_nodes_are_available(self):
        nodes = json.loads(self.of_home('nodes'))
        self.assertEqual(
            ['node-0', 'node-1'], sorted(node['name'] for node in nodes)
        )
        for node in nodes:
            for field, value in (
                ('driver', 'zsbm'),
                ('provision_state', 'available'),
                ('power_state', 'power off'),
                ('resource_class', 'baremetal'),
                ('network_interface', 'noop'),
                ('boot_interface', 'zsbm-pxe'),
                ('deploy_interface', 'zsbm'),
            ):
                self.assertEqual(value, node[field], field)
            self.assertEqual(['CUSTOM_GOLD'], node['traits'])

    def test_interfaces_come_and_go(self):
        up = self.links('up')
        self.assertEqual({'10.0.5.1/24'}, up['brbm'])
        self.assertEqual({'198.18.5.11/32', '198.18.5.12/32'}, up['zsbm-bmc'])
        self.assertEqual(
            {'brbm', 'zsbm-bmc', 'tap0.0', 'tap1.0'},
            set(up) - set(self.links('before')),
        )
        self.assertEqual(self.links('before'), self.links('after'))

    def test_a_machine_that_is_declared_no_more_ends(self):
        self.assertEqual(['bmc-node-0.json'], self.of_home('running').split())
        self.assertEqual(
            {'tap1.0'}, set(self.links('up')) - set(self.links('fewer'))
        )

    def test_the_boot_service_serves(self):
        self.assertIn('service.json', self.of_home('status'))

    def test_no_password_is_left(self):
        new = {
            name
            for name, what in self.cleaned.items()
            if self.fresh.get(name) != what
        }
        self.assertEqual(
            set(),
            {
                name
                for name in new
                if not test_phases.THEIRS.match(name)
                and not name.startswith(f'{machine.HOME}/')
            },
        )
        self.assertNotIn('bmc_password', self.printed)
