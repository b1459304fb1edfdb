# SPDX-License-Identifier: Apache-2.0
from ironic.conductor import base_manager
from ironic.drivers.modules.network import common as network_common
from oslotest import base

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.drivers import boot, boot_watch


class TestUpstream(base.BaseTestCase):
    """What we take of ironic is still there."""

    def test_a_manager_says_whether_it_ends(self):
        # As in a worker that is spawned: no database, no message bus.
        manager = object.__new__(base_manager.BaseConductorManager)
        manager.__setstate__({'host': 'host', '_shutdown': False})
        self.assertFalse(ironic_compat.is_shutting_down(manager))
        manager._shutdown.set()
        self.assertTrue(ironic_compat.is_shutting_down(manager))

    def test_vifs_are_read_from_the_port_alone(self):
        class Port:
            internal_info = {'cleaning_vif_port_id': 'a'}

        found = network_common.VIFPortIDMixin().get_current_vif(None, Port)
        self.assertEqual('a', found)


class TestInterfaces(base.BaseTestCase):
    def test_capabilities_that_ironic_asks_for(self):
        for one in (boot.ZsbmPxeBoot, boot.ZsbmHttpBoot):
            for capability in ('ipxe_boot', 'pxe_boot', 'ramdisk_boot'):
                self.assertIn(capability, one.capabilities)
            self.assertTrue(one.ipxe_enabled)
        self.assertTrue(boot.ZsbmHttpBoot.http_boot_enabled)
        self.assertFalse(boot.ZsbmPxeBoot.http_boot_enabled)

    def test_every_waiting_state_is_watched(self):
        waiting = {'inspect wait', 'clean wait', 'wait call-back'}
        waiting |= {'rescue wait', 'service wait'}
        self.assertEqual(waiting, set(boot_watch.WAITING))
