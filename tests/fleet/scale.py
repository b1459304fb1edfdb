# SPDX-License-Identifier: Apache-2.0
"""How large a fleet is, and what asks it.

The matrix sets other sizes by environment variables: see `SAMPLE`.
"""

import contextlib
import gc
import os
import pathlib
import resource
import threading
import time

import testtools

from benchmarks import served
from tests import bmcs
from tests.e2e import figures
from zsbm_ironic.bmc import base, pool, watch
from zsbm_ironic.bmc import credentials as bmc_credentials

SAMPLE = {
    'ZSBM_FLEET_IPMI': 35,
    'ZSBM_FLEET_REDFISH': 15,
    'ZSBM_FLEET_ROUNDS': 150,
}
WORKERS = 8
# Of a machine that does other work too.
SETTLED_S = 900
PAGE_BYTES = os.sysconf('SC_PAGE_SIZE')


def size(name):
    """Return how many of something there are in this run."""
    return int(os.environ.get(name, SAMPLE[name]))


class FleetTest(testtools.TestCase):
    """A fleet in a process of its own, watched by this one."""

    def setUp(self):
        super().setUp()
        self.figures = self.useFixture(figures.Figures())
        self.addCleanup(
            resource.setrlimit, resource.RLIMIT_NOFILE, bmcs.allow_files(8192)
        )
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.fleet = stack.enter_context(
            served.serving(*self.sizes(), ipmi_port=0, redfish_port=0)
        )
        self.bmcs = {
            name: bmc_credentials.Credentials.from_driver_info(info)
            for name, info in self.fleet.members.items()
        }
        self.sessions = pool.Pool()
        self.addCleanup(self.sessions.close)
        self.watch = watch.Watch(self.sessions, WORKERS)
        self.addCleanup(self.watch.close)
        self.watch.watch(self.bmcs)

    def sizes(self):
        return size('ZSBM_FLEET_IPMI'), size('ZSBM_FLEET_REDFISH')

    def by_ipmi(self):
        return [
            name
            for name, one in self.bmcs.items()
            if one.protocol is base.BmcProtocol.IPMI
        ]

    def round(self, redfish_poll_s=0.0, limit_s=2.0):
        """Ask whose turn it is, as the two tasks of a conductor do."""
        found = dict(self.watch.at_once())
        pace = watch.Pace(0.0, redfish_poll_s, limit_s)
        return found | dict(self.watch.by_workers(pace))

    def settle(self, names=None):
        """Go on until each has answered; return the seconds."""
        began = time.monotonic()
        missing = set(self.bmcs if names is None else names)
        while missing:
            self.assertLess(time.monotonic() - began, SETTLED_S)
            missing -= self.round().keys()
        self.rest()
        return time.monotonic() - began

    def rest(self):
        """Wait for who was asked and has not answered yet."""
        pace = watch.Pace(0.0, 0.0, 1.0)
        while self.watch.is_asking():
            dict(self.watch.by_workers(pace, again=()))


def held():
    """Return what this process holds: bytes, open files, threads, objects."""
    gc.collect()
    pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
    return {
        'bytes': PAGE_BYTES * pages,
        'files': len(os.listdir('/proc/self/fd')),
        'threads': threading.active_count(),
        'objects': len(gc.get_objects()),
    }
