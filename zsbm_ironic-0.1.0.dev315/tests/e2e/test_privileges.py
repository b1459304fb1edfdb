# SPDX-License-Identifier: Apache-2.0
"""What each process of the lab may do, as the kernel says it."""

import pathlib

from tests.e2e import base
from zsbm_ironic.lab import layout

# Bits of linux/capability.h, by their systemd name.
CAPABILITIES = {
    'CAP_NET_BIND_SERVICE': 10,
    'CAP_NET_ADMIN': 12,
    'CAP_NET_RAW': 13,
}
UNIT = pathlib.Path(__file__).parents[2] / 'etc/systemd/zsbm-netboot.service'


class PrivilegesTest(base.LabTest):
    """Ironic has no capability, zsbm-netboot those of its unit."""

    def test_ironic_is_unprivileged(self):
        facts = self.proc_status('ironic')
        self.assertEqual([str(layout.IRONIC_UID)] * 4, facts['Uid'].split())
        for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb'):
            self.assertEqual(0, int(facts[name], 16), name)

    def test_netboot_has_the_capabilities_of_its_unit(self):
        facts = self.proc_status('zsbm-netboot')
        self.assertEqual([str(layout.NETBOOT_UID)] * 4, facts['Uid'].split())
        wanted = sum(1 << bit for bit in self.capabilities_of_unit())
        for name in ('CapEff', 'CapPrm', 'CapBnd', 'CapAmb'):
            self.assertEqual(wanted, int(facts[name], 16), name)
        self.assertEqual('1', facts['NoNewPrivs'].strip())

    def proc_status(self, name):
        pid = self.lab.supervisor.pid(name)
        text = pathlib.Path(f'/proc/{pid}/status').read_text()
        return dict(line.split(':', 1) for line in text.splitlines() if line)

    def capabilities_of_unit(self):
        for line in UNIT.read_text().splitlines():
            if line.startswith('AmbientCapabilities='):
                names = line.partition('=')[2].split()
                return [CAPABILITIES[name] for name in names]
        self.fail(f'{UNIT} has no AmbientCapabilities')
