# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test stands on: the lab, up, and its machines.

The lab is brought up once a process and left up: the next row of the matrix
finds it warm. It has a state folder of its own, so that nobody's lab is
touched. Needs root.
"""

import json
import os
import pathlib
import sys

import testtools

from zsbm_ironic.common import process, progress
from zsbm_ironic.lab import demo, layout, lifecycle
from zsbm_ironic.lab.images import os_image

MACHINES = pathlib.Path(__file__).with_name('machines.toml')
STATE = '/var/lib/zsbm-lab-test'


class LabTest(testtools.TestCase):
    """A test with a lab that is up and helpers to drive its machines."""

    plan = lifecycle.Plan(machines_file=str(MACHINES))
    lab: lifecycle.Lab

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        os.environ['ZSBM_LAB_DIR'] = STATE
        cls.lab = lifecycle.Lab(
            layout.Layout.from_environment(), progress.Progress()
        )
        if cls.lab.plan() not in (None, cls.plan):
            cls.lab.down(wipe=True)
        cls.lab.up(cls.plan)

    def server(self, name: str) -> demo.Server:
        """Return machine `name`, ready to be driven."""
        return demo.Server(self.lab, demo.find(self.lab.declared(), name))

    def image(self) -> os_image.OsImage:
        """Return the test image (from the cache)."""
        return self.lab.os_image()

    def zsbm_lab(self, *words: str) -> process.Completed:
        """Run the command `zsbm-lab` as a person does."""
        command = pathlib.Path(sys.executable).parent / 'zsbm-lab'
        return process.run([command, *words], timeout_s=600)

    def status(self) -> dict[str, object]:
        """Return what `zsbm-lab status -f json` prints."""
        return json.loads(self.zsbm_lab('status', '-f', 'json').stdout)

    def node(self, server: demo.Server) -> dict[str, object]:
        """Return all fields of the server's node."""
        done = server.baremetal(
            'node', 'show', server.machine.name, '-f', 'json'
        )
        return json.loads(done.stdout)

    def timeline(self, server: demo.Server) -> list[dict[str, str]]:
        """Return the boot timeline, as the command line shows it."""
        done = server.baremetal(
            *('node', 'boot', 'timeline', server.machine.name, '-f', 'json')
        )
        return json.loads(done.stdout)
