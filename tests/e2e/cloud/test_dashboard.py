# SPDX-License-Identifier: Apache-2.0
"""Horizon in a real browser."""

from tests.e2e.cloud import browser, case
from tests.e2e.cloud.case import VM
from zsbm_ironic.lab import bench, network
from zsbm_ironic.lab.cloud import horizon, servers, world


class BrowserTest(case.CloudTest):
    """Horizon as a person sees it."""

    POWER, MAINTENANCE = 4, 6

    def test_browser_of_an_admin(self):
        """Sees the node, and works it: power and maintenance."""
        fingerprint = bench.fingerprint(self.machine, self.lab.folders)
        uuid = self.as_(
            'system',
            lambda one: servers.make_manageable(
                one, self.machine, fingerprint
            ),
        )
        network.call(lambda: self.work(self.machine.name))
        node = self.as_('system', lambda one: one.baremetal.get_node(uuid))
        self.assertFalse(node.is_maintenance)

    def work(self, name):
        with browser.Browser() as seen:
            seen.log_in(horizon.url(), 'admin', self.site.passwords['admin'])
            seen.open(
                f'{horizon.url()}/auth/switch_system_scope/'
                '?next=/admin/ironic/'
            )
            seen.see(name)
            seen.keep('horizon-nodes')
            before = seen.cell(name, self.POWER)
            verb = 'Power off' if before == 'power on' else 'Power on'
            seen.in_row(name, verb)
            self.wait_for(
                lambda: self.again(seen, name, self.POWER) != before,
                'the power',
                120,
            )
            seen.in_row(name, 'Maintenance On')
            seen.press('Put Node(s) Into Maintenance Mode')
            self.wait_for(
                lambda: self.again(seen, name, self.MAINTENANCE) == 'Yes',
                'maintenance',
                120,
            )
            seen.keep('horizon-maintenance')
            seen.in_row(name, 'Maintenance Off')
            self.wait_for(
                lambda: self.again(seen, name, self.MAINTENANCE) == 'No',
                'no maintenance',
                120,
            )

    def again(self, seen, name, column):
        seen.open(f'{horizon.url()}/admin/ironic/')
        seen.see(name)
        return seen.cell(name, column)

    def test_browser_of_a_member(self):
        """Sees own servers only, and no panel of nodes."""
        (vm,) = self.create([VM], world.FLAT)
        for member, sees in (('demo', True), ('other', False)):
            page = network.call(
                lambda member=member, sees=sees: self.instances(member, sees)
            )
            self.assertEqual(sees, VM in page, member)
            self.assertNotIn('Ironic', page)
        self.delete([vm])

    def instances(self, member, some):
        with browser.Browser() as seen:
            seen.log_in(horizon.url(), member, self.site.passwords[member])
            seen.open(f'{horizon.url()}/project/instances/')
            seen.see(VM if some else 'No items to display')
            seen.keep(f'horizon-{member}')
            return seen.text()
