# SPDX-License-Identifier: Apache-2.0
"""What ironic keeps private and we use still exists, and still works so."""

import inspect
import threading
import types

import fixtures
from ironic.conductor import base_manager, manager, task_manager
from ironic.drivers.modules import agent
from ironic.drivers.modules.redfish import utils as redfish_sessions
from oslotest import base

from tests import bmcs
from zsbm_ironic.bmc import trust
from zsbm_ironic.common import ironic_compat


class TestRestart(base.BaseTestCase):
    def test_ironic_still_says_it_like_this(self):
        source = inspect.getsource(
            base_manager.BaseConductorManager._correct_stuck_states
        )
        self.assertIn(ironic_compat.LOST_AT_RESTART, source)


class TestAgentDeploy(base.BaseTestCase):
    def test_prepare_still_fills_in_by_the_step_that_we_extend(self):
        name = '_update_instance_info'
        self.assertIn(name, vars(agent.AgentDeploy))
        source = inspect.getsource(agent.CustomAgentDeploy.prepare)
        self.assertIn(f'self.{name}(task)', source)


class TestPinnedSessions(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.upstream = ironic_compat.PinnedSessionCache.__mro__[1]
        self.addCleanup(
            setattr, redfish_sessions, 'SessionCache', self.upstream
        )
        self.store = trust.PinStore(self.useFixture(fixtures.TempDir()).path)
        ironic_compat.trust_pinned_certificates(lambda: self.store)
        self.bmc = self.useFixture(bmcs.SushyToolsBmc())

    def log_in(self, verify_ca):
        info = {
            'address': f'https://{bmcs.ADDRESS}:{self.bmc.port}',
            'username': bmcs.USER,
            'password': bmcs.PASSWORD,
            'verify_ca': verify_ca,
            'auth_type': 'basic',
            'node_uuid': 'x',
        }
        with redfish_sessions.SessionCache(info) as root:
            return root

    def pin(self):
        pem = (self.bmc.directory / 'cert.pem').read_text()
        return str(self.store.write(self.bmc.fingerprint, pem))

    def test_upstream_still_has_what_we_extend(self):
        for name in ('_sessions', '_expire_oldest_session', 'AUTH_CLASSES'):
            self.assertTrue(hasattr(self.upstream, name), name)
        found = self.upstream(
            {'address': 'x', 'username': 'y', 'verify_ca': True}
        )
        self.assertIsInstance(found._session_key, tuple)
        self.assertIsInstance(found._driver_info, dict)

    def test_a_pinned_certificate_under_another_name(self):
        root = self.log_in(self.pin())
        self.assertEqual('1.5.0', root.redfish_version)
        self.assertIs(root, self.log_in(self.pin()))

    def test_another_certificate_is_refused(self):
        pin = self.pin()
        self.bmc.stop()
        self.bmc.renew_certificate()
        self.bmc.start()
        self.upstream._sessions.clear()
        self.assertRaises(
            redfish_sessions.sushy.exceptions.ConnectionError,
            self.log_in,
            pin,
        )

    def test_without_a_pin_it_is_upstreams_business(self):
        self.assertRaises(
            redfish_sessions.sushy.exceptions.ConnectionError,
            self.log_in,
            str(self.bmc.directory / 'cert.pem'),
        )


class MendingPorts(base.BaseTestCase):
    """The purposes that ironic locks a node for are told by their words."""

    def test_ironic_still_calls_them_so(self):
        source = inspect.getsource(manager)
        for purpose in ironic_compat.MENDING:
            self.assertIn(f"'{purpose}'", source)

    def test_a_task_still_has_one(self):
        source = inspect.getsource(task_manager.TaskManager)
        self.assertIn('self._purpose = purpose', source)


class TestShutdown(base.BaseTestCase):
    def test_what_a_conductor_is_told_to_end_by(self):
        manager = base_manager.BaseConductorManager
        self.assertIn(
            'self._shutdown = threading.Event()',
            inspect.getsource(manager.__init__),
        )
        self.assertIn('self._shutdown.set()', inspect.getsource(manager))

    def test_the_function_is_run_once_before_it_goes_on(self):
        manager = types.SimpleNamespace(_shutdown=threading.Event())
        calls = []
        for _ in range(2):
            ironic_compat.at_shutdown(manager, lambda: calls.append(1))
        self.assertFalse(ironic_compat.is_shutting_down(manager))
        manager._shutdown.set()
        self.assertEqual([1], calls)
        self.assertTrue(ironic_compat.is_shutting_down(manager))
