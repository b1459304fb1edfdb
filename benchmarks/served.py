# SPDX-License-Identifier: Apache-2.0
"""An emulated fleet that is up, in a process of its own.

Called by bench_fleet and bench_conductor, which have a network namespace of
their own for it, and by tests/fleet.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from zsbm_ironic.lab.emulator import client as clients
from zsbm_ironic.lab.emulator import fleet

INSIDE = 'ZSBM_FLEET_INSIDE'
START_S = 600


def in_a_namespace(module: str) -> None:
    """Run a benchmark again where loopback is nobody else's.

    :param module: its name; returns in the process that is there already.
    """
    if os.environ.get(INSIDE) is not None:
        return
    os.execvpe(  # noqa: S606 - a list, never a shell
        'unshare',  # noqa: S607 - of util-linux, where PATH says
        ['unshare', '--net', 'sh', '-c', 'ip link set lo up; exec "$@"', 'sh']
        + [sys.executable, '-m', module, *sys.argv[1:]],
        {**os.environ, INSIDE: '1'},
    )


class Served:
    """A fleet that is up.

    :ivar members: driver_info by name.
    """

    def __init__(self, socket: pathlib.Path) -> None:
        self.control = clients.Client(socket)
        self.members: dict[str, Any] = self.control.status()['members']

    def of(self, protocol: str) -> dict[str, Any]:
        """Return the members that speak one protocol."""
        return {
            name: info
            for name, info in self.members.items()
            if info['bmc_protocol'] == protocol
        }


@contextlib.contextmanager
def serving(
    ipmi: int, redfish: int, ipmi_port: int = 623, redfish_port: int = 443
) -> Iterator[Served]:
    """Serve so many BMCs, at the ports that they have in a rack.

    :param ipmi_port, redfish_port: 0 lets the kernel choose.
    """
    with tempfile.TemporaryDirectory() as folder:
        plan, socket = (
            pathlib.Path(folder, name) for name in ('plan.json', 'control')
        )
        plan.write_text(
            json.dumps(
                {
                    'ipmi': ipmi,
                    'redfish': redfish,
                    'ipmi_port': ipmi_port,
                    'redfish_port': redfish_port,
                }
            )
        )
        process = subprocess.Popen(  # noqa: S603 - a list, never a shell
            [sys.executable, '-m', fleet.__name__, plan, socket]
        )
        try:
            deadline = time.monotonic() + START_S
            while not socket.exists() and process.poll() is None:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)
            yield Served(socket)
        finally:
            process.terminate()
            process.wait()
