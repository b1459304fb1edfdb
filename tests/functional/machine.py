# SPDX-License-Identifier: Apache-2.0
"""A server that is all emulated: pyghmi's BMC, and the agent when it boots.

Whoever powers it on while its BMC says to boot from the network has started
the ramdisk; anything else that it boots stays silent, as an OS does.
"""

import contextlib

import fixtures
from testtools import content, content_type

from tests import bmcs
from tests.functional import agent_process

MAC = '52:54:00:5a:00:07'
NETWORK = 'network'


class Machine(fixtures.Fixture):
    """A server that boots.

    :param ironic: which its ramdisk asks for its node.
    :ivar bmc: pyghmi's, as is.
    :ivar ramdisks: how often it has booted one.
    """

    def __init__(self, ironic):
        super().__init__()
        self._ironic = ironic
        self._agent = None
        self.ramdisks = 0

    def _setUp(self):
        self.bmc = self.useFixture(bmcs.PyghmiBmc())
        self.addCleanup(self._cut)
        for name, then in (
            ('power_on', self._boot),
            ('power_reset', self._boot),
            ('power_off', self._cut),
            ('power_shutdown', self._cut),
        ):
            self._add(name, then)

    def _add(self, name, then):
        before = getattr(self.bmc.machine, name)

        def act():
            before()
            then()

        setattr(self.bmc.machine, name, act)

    def _boot(self):
        self._cut()
        if self.bmc.machine.boot_device != NETWORK:
            return
        # For one boot, as BMCs do it.
        self.bmc.machine.boot_device = 'default'
        self.ramdisks += 1
        self._agent = agent_process.Agent(
            self._ironic, MAC, on_power_off=self._powered_off
        )
        self._agent.setUp()
        # Read when the test has failed.
        self.addDetail(
            f'agent.log {self.ramdisks}',
            content.Content(
                content_type.UTF8_TEXT,
                lambda agent=self._agent: [agent.log().encode()],
            ),
        )

    def _powered_off(self):
        self.bmc.machine.power = 'off'

    def _cut(self):
        agent, self._agent = self._agent, None
        if agent is not None:
            with contextlib.suppress(OSError):
                agent.cleanUp()
