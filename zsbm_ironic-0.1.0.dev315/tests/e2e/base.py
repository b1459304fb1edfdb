# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test stands on: the lab, up, and its machines.

The lab is brought up once a process and left up: the next row of the matrix
finds it warm. It has a state folder of its own, so that nobody's lab is
touched. Needs root.
"""

import dataclasses
import http.client
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import testtools

from zsbm_ironic.common import artifacts, process, progress
from zsbm_ironic.lab import demo, layout, lifecycle, network
from zsbm_ironic.lab.images import os_image
from zsbm_ironic.lab.vm_images import build, specimens

# With machines that not every lab has: a BMC of each runs all the time.
SPECIAL = lifecycle.Plan(
    machines_file=str(
        pathlib.Path(__file__).with_name('machines_special.toml')
    )
)
# For images that are written whole, and are not what is tested.
PACKED = lifecycle.Plan(raw_images=False)
STATE = '/var/lib/zsbm-lab-test'
POWER_S = 300
HEADERS = {
    'Content-Type': 'application/json',
    'X-OpenStack-Ironic-API-Version': 'latest',
}


def make_room() -> None:
    """Stop the lab of most tests, for one that has a folder of its own.

    What it knows stays: its next `up` finds nodes and disks as they were.
    """
    if network.owner() == pathlib.Path(STATE):
        cache = layout.Layout.from_environment().cache
        folders = layout.Layout(pathlib.Path(STATE), cache)
        lifecycle.Lab(folders, progress.Progress()).down(wipe=False)


def left_of(state: str, namespaces: set[int]) -> list[str]:
    """Return processes of a lab, and of its network namespaces.

    :param state: its folder, which the command lines name.
    :param namespaces: inodes; see `namespaces`.
    """
    found = []
    for folder in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            inside = os.stat(folder / 'ns/net').st_ino in namespaces
            words = (folder / 'cmdline').read_bytes()
        except OSError:
            continue
        if inside or state.encode() in words:
            found.append(f'{folder.name} {words.decode(errors="replace")}')
    return found


def namespaces() -> set[int]:
    """Return the inodes of the lab's network namespaces."""
    return {os.stat(path).st_ino for path in named_namespaces()}


def named_namespaces() -> list[pathlib.Path]:
    """Return the names of the lab's network namespaces."""
    return list(network.NAMESPACES.glob(f'{layout.NAMESPACE}*'))


class LabTest(testtools.TestCase):
    """A test with a lab that is up and helpers to drive its machines."""

    plan = lifecycle.Plan()
    state = STATE
    lab: lifecycle.Lab

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        os.environ['ZSBM_LAB_DIR'] = cls.state
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

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask Ironic's API; return its status and answer."""

        def ask() -> tuple[int, Any]:
            connection = http.client.HTTPConnection(
                layout.CONDUCTOR_ADDRESSES[0], layout.API_PORT, timeout=60
            )
            try:
                connection.request(
                    method, f'/v1/{path}', json.dumps(body or {}), HEADERS
                )
                answer = connection.getresponse()
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
            finally:
                connection.close()

        return network.call(ask)

    def node(self, server: demo.Server) -> dict[str, object]:
        """Return all fields of the server's node."""
        done = server.baremetal(
            'node', 'show', server.machine.name, '-f', 'json'
        )
        return json.loads(done.stdout)

    def vm_image(self, name: str) -> build.VmImage:
        """Return an image of the table, where conductors may read it."""
        cache = artifacts.Artifacts(self.lab.folders.cache)
        image = build.build(cache, specimens.by_name(name))
        return dataclasses.replace(
            image, path=self.lab.hold(image.path, image.sha256)
        )

    def timeline(self, server: demo.Server) -> list[dict[str, str]]:
        """Return the boot timeline, as the command line shows it."""
        done = server.baremetal(
            *('node', 'boot', 'timeline', server.machine.name, '-f', 'json')
        )
        return json.loads(done.stdout)

    def wait_for(
        self, question: Callable[[], object], what: str, limit_s: float
    ) -> None:
        """Ask until the answer is true; fail after limit_s seconds."""
        deadline = time.monotonic() + limit_s
        while not question():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(2)

    def wait_power(self, server: demo.Server, state: str) -> None:
        """Wait until the node's power is `power on` or `power off`."""
        self.wait_for(
            lambda: server.field('power_state') == state, state, POWER_S
        )

    def forget(self, server: demo.Server) -> None:
        """Switch a machine off and delete its node, whatever its state."""
        name = server.machine.name
        if server.state() is None:
            return
        server.baremetal('node', 'power', 'off', name, check=False)
        server.baremetal('node', 'maintenance', 'set', name)
        server.baremetal('node', 'delete', name)

    def enrolled_as_stock(self, name: str) -> demo.Server:
        """Return a machine as a node of upstream's type, and managed.

        The node is made anew, and deleted after the test.
        """
        server = self.server(name)
        self.forget(server)
        server.enrol(stock=True)
        self.addCleanup(self.forget, server)
        server.baremetal(
            *('node', 'set', name, '--boot-interface', 'ipxe'),
            *('--deploy-interface', 'direct', '--inspect-interface', 'agent'),
            '--no-automated-clean',
        )
        server.provision('manage')
        return server
