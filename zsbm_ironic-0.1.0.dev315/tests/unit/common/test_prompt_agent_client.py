# SPDX-License-Identifier: Apache-2.0
"""The agent client against the real HTTP API of ironic-python-agent."""

import inspect
import socket
import threading
import time
import types

from ironic.common import exception as ironic_exception
from ironic.conf import CONF
from ironic.drivers.modules import agent_client
from ironic_python_agent import config as _agent_options  # noqa: F401
from ironic_python_agent.api import app
from ironic_python_agent.extensions import base as extensions
from oslo_config import cfg
from oslotest import base

from zsbm_ironic.common import ironic_compat

TOKEN = 'a' * 32


class Busy(extensions.BaseAgentExtension):
    """A command that lasts until it is told to end."""

    end = threading.Event()

    @extensions.async_command('work')
    def work(self):
        self.end.wait(30)
        return {'done': True}


class Agent(extensions.ExecuteCommandMixin):
    """The agent's own command queue, on a free port of loopback."""

    def __init__(self, port):
        super().__init__()
        self.listen_address = types.SimpleNamespace(
            hostname='127.0.0.1', port=port
        )
        self.ext_mgr = {'busy': types.SimpleNamespace(obj=Busy(self))}

    def validate_agent_token(self, token):
        return token == TOKEN

    def list_command_results(self):
        return list(self.command_results.values())

    def force_heartbeat(self):
        pass


class PromptAgentClient(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        Busy.end.clear()
        self.addCleanup(Busy.end.set)
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        server = app.Application(Agent(port), cfg.CONF)
        server.start()
        self.addCleanup(server.stop)
        self.node = types.SimpleNamespace(
            uuid='uuid-1',
            driver_info={},
            driver_internal_info={
                'agent_url': f'http://127.0.0.1:{port}',
                'agent_secret_token': TOKEN,
            },
        )
        self.addCleanup(CONF.clear_override, 'command_wait_attempts', 'agent')
        self.addCleanup(CONF.clear_override, 'command_wait_interval', 'agent')

    def _work(self):
        task = types.SimpleNamespace(node=self.node)
        ironic_compat.use_prompt_agent_client(task)
        client = agent_client.get_client(task)
        return client._command(self.node, 'busy.work', {}, poll=True)

    def test_the_end_of_a_command_is_noticed_soon(self):
        threading.Timer(0.6, Busy.end.set).start()
        started = time.monotonic()
        result = self._work()
        self.assertEqual({'done': True}, result['command_result'])
        # Upstream's client looks again after 6 s.
        self.assertLess(time.monotonic() - started, 3)

    def test_the_time_limit_is_that_of_the_options(self):
        CONF.set_override('command_wait_attempts', 1, 'agent')
        CONF.set_override('command_wait_interval', 1, 'agent')
        started = time.monotonic()
        self.assertRaises(ironic_exception.AgentCommandTimeout, self._work)
        self.assertLess(time.monotonic() - started, 3)

    def test_what_upstream_keeps_private_is_still_there(self):
        upstream = agent_client.AgentClient
        self.assertEqual(
            ['self', 'node', 'method'],
            list(inspect.signature(upstream._wait_for_command).parameters),
        )
        self.assertTrue(callable(upstream._raise_if_typeerror))
