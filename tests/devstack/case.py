# SPDX-License-Identifier: Apache-2.0
"""What is done to a machine once, and looked at by each test of a class."""

import os

import testtools

from tests.devstack import machine, sources

NO_DEVSTACK = (
    'needs the functions of core devstack: set DEVSTACK_DIR to a checkout'
)
NO_ROOT = 'only root makes mounts'


class MachineCase(testtools.TestCase):
    """A class with a machine, or whose tests are all skipped.

    :cvar more: further lines of local.conf.
    :cvar network: as OverlayRoot takes it.
    """

    more = ''
    network = 'host'

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.devstack = sources.devstack()
        if cls.devstack is None or os.geteuid() != 0:
            return
        one = machine.Machine(cls.devstack, cls.more, cls.network)
        one.setUp()
        cls.addClassCleanup(one.cleanUp)
        cls.play(one)

    @classmethod
    def play(cls, one):
        """Do it, and keep what the tests look at."""
        raise NotImplementedError

    def setUp(self):
        super().setUp()
        if self.devstack is None:
            self.skipTest(NO_DEVSTACK)
        if os.geteuid() != 0:
            self.skipTest(NO_ROOT)
