# SPDX-License-Identifier: Apache-2.0
"""The journey of one server, told by the commands that make it.

Enrol by BMC address and login, inspect, clean, deploy, log in, give back:
every step is a command of `openstack baremetal` that the reader could type,
printed before it runs, with the seconds that it took. Called by `zsbm-lab
demo`, the quickstart and the end-to-end tests.
"""

import json
import os
import pathlib
import re
import shlex
import sys
import time
from collections.abc import Sequence

from zsbm_ironic.common import exception, process, whole_file
from zsbm_ironic.lab import (
    bench,
    ironic,
    layout,
    lifecycle,
    machines,
    network,
)
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.images import os_image

STEP_S = 1500
SSH_S = 600
LONGEST_SHOWN = 120
# Provision states that lead to `available` by way of `undeploy`.
GIVEN_BACK = (
    'active',
    'deploy failed',
    'error',
    'rescue',
    'rescue failed',
    'unrescue failed',
    'wait call-back',
)
# States that an interrupted journey may have left a node in: on its way, or
# waiting for a ramdisk that nobody needs any more.
ON_ITS_WAY = ('cleaning', 'deleting', 'deploying', 'inspecting', 'verifying')
ABORTED = ('clean wait', 'inspect wait')
# Where the test image keeps what it read from the config drive.
MARKER = '/var/lib/zsbm-firstboot/user_data'
FINGERPRINT = re.compile(r'sha256:[0-9a-f]{2}(?::?[0-9a-f]{2}){31}', re.I)


def find(
    declared: Sequence[machines.Declaration], name: str
) -> machines.Declaration:
    """Return the machine called `name`.

    :raises LabSettingInvalid: there is none.
    """
    for machine in declared:
        if machine.name == name:
            return machine
    known = ', '.join(machine.name for machine in declared)
    raise lab_exception.LabSettingInvalid(
        where='zsbm-lab', what=f'no machine {name} (there are: {known})'
    )


def client_environment() -> dict[str, str]:
    """Return the OS_* variables for the lab's Ironic, and its PATH."""
    api = f'http://{layout.CONDUCTOR_ADDRESSES[0]}:{layout.API_PORT}'
    own = pathlib.Path(sys.executable).parent
    return {
        'OS_AUTH_TYPE': 'none',
        'OS_ENDPOINT': api,
        'OS_BAREMETAL_API_VERSION': 'latest',
        'PATH': f'{own}:{os.environ.get("PATH", "/usr/bin:/bin")}',
    }


class Server:
    """One machine of the lab on its way through Ironic."""

    def __init__(
        self, lab: lifecycle.Lab, machine: machines.Declaration
    ) -> None:
        self._lab = lab
        self.machine = machine
        self.folder = lab.folders.machines / machine.name

    def baremetal(self, *words: str, check: bool = True) -> process.Completed:
        """Run `openstack baremetal ...` inside the lab and show it.

        :raises ProcessFailed: the command failed (with check).
        """
        self._lab.report.say(f'\n$ openstack baremetal {_shown(words)}')
        began = time.monotonic()
        done = process.run(
            [
                *network.nsenter(),
                ironic.executable('openstack'),
                'baremetal',
                *words,
            ],
            timeout_s=STEP_S,
            env=client_environment(),
            check=check,
        )
        self._lab.report.say(f'  {time.monotonic() - began:.1f} s')
        return done

    def enrol(self, *, stock: bool = False) -> None:
        """Create the node from a file that only root can read.

        :param stock: with upstream's hardware type and its own keys.
        """
        node = self.stock_enrolment() if stock else self.enrolment()
        path = self.folder / 'server.json'
        whole_file.write(path, json.dumps({'nodes': [node]}, indent=2))
        self.baremetal('create', str(path))

    def enrolment(self) -> dict[str, object]:
        """Return all that our type needs to know of this machine."""
        machine = self.machine
        node: dict[str, object] = {
            'name': machine.name,
            'driver': 'zsbm',
            'driver_info': {
                'bmc_address': machine.bmc_address,
                'bmc_username': machines.BMC_USERNAME,
                'bmc_password': machine.bmc_password,
            },
        }
        if machine.protocol == 'ipmi':
            node['ports'] = [{'address': machine.nics[0].mac}]
        return node

    def stock_enrolment(self) -> dict[str, object]:
        """Return the same machine as upstream's `redfish` or `ipmi` node."""
        machine = self.machine
        kind = machine.protocol
        address = machine.bmc_address
        info = {
            f'{kind}_address': f'https://{address}'
            if kind == 'redfish'
            else address,
            f'{kind}_username': machines.BMC_USERNAME,
            f'{kind}_password': machine.bmc_password,
        }
        if kind == 'redfish':
            info['redfish_verify_ca'] = 'False'
        # Upstream's types boot a node by UEFI unless they are told.
        mode = 'uefi' if machine.firmware.is_uefi else 'bios'
        return {
            'name': machine.name,
            'driver': kind,
            'driver_info': info,
            'properties': {'capabilities': f'boot_mode:{mode}'},
            'ports': [{'address': machine.nics[0].mac}],
        }

    def manage(self) -> None:
        """Verify the BMC; pin its certificate when the error asks for it."""
        name = self.machine.name
        first = self.baremetal('node', 'manage', name, '--wait', check=False)
        if first.returncode == 0:
            return
        error = self.field('last_error')
        self._lab.report.say(f'  {error}')
        found = FINGERPRINT.search(error)
        if not found or found.group() != bench.fingerprint(
            self.machine, self._lab.folders
        ):
            raise lab_exception.LabStepFailed(
                step='manage', machine=name, error=error
            )
        self.baremetal(
            'node',
            'set',
            name,
            '--driver-info',
            f'bmc_cert_fingerprint={found.group()}',
        )
        self.baremetal('node', 'manage', name, '--wait')

    def provision(self, verb: str, *words: str) -> None:
        """Run a provision verb and wait for its end.

        :raises LabStepFailed: with the node's last error.
        """
        done = self.baremetal(
            'node',
            verb,
            self.machine.name,
            *words,
            '--wait',
            check=False,
        )
        if done.returncode != 0:
            raise lab_exception.LabStepFailed(
                step=verb,
                machine=self.machine.name,
                error=f'{done.stderr.strip()} {self.field("last_error")}',
            )

    def describe_instance(self, image: os_image.OsImage) -> None:
        """Tell Ironic which image the server gets."""
        facts = {
            'image_source': f'file://{image.path}',
            'image_checksum': image.sha256,
            # Ironic 39 asks a file:// image for its URL, which it has not,
            # unless it is told the type (ironic.common.images:822).
            'image_type': 'whole-disk',
        }
        words = [
            word
            for name, value in facts.items()
            for word in ('--instance-info', f'{name}={value}')
        ]
        self.baremetal('node', 'set', self.machine.name, *words)

    def deploy(self) -> None:
        """Deploy with a config drive: host name, key, address, a marker."""
        drive = json.dumps(self.config_drive())
        self.provision('deploy', '--config-drive', drive)

    def config_drive(self) -> dict[str, object]:
        """Return what cloud-init and our test image read at first boot."""
        key = self._lab.folders.ssh_key.with_suffix('.pub').read_text()
        return {
            'meta_data': {
                'uuid': self.field('uuid'),
                'name': self.machine.name,
                'hostname': self.machine.name,
                'public_keys': {'lab': key.strip()},
            },
            'user_data': f'marker {self.machine.name}\n',
            'network_data': {
                'links': [
                    {
                        'id': 'nic0',
                        'type': 'phy',
                        'ethernet_mac_address': self.machine.nics[0].mac,
                    }
                ],
                'networks': [
                    {
                        'id': 'net0',
                        'type': 'ipv4',
                        'link': 'nic0',
                        'ip_address': self.machine.address,
                        'netmask': '255.255.255.0',
                        'routes': [],
                    }
                ],
                'services': [],
            },
        }

    def ssh_argv(self, *command: str) -> list[str]:
        """Return the command that logs in to the delivered server."""
        return [*bench.ssh_argv(self.machine, self._lab.folders), *command]

    def ssh(self, *command: str, wait_s: float = SSH_S) -> str:
        """Log in, trying until the server answers, and return the output.

        :raises LabStepFailed: no answer within wait_s seconds.
        """
        deadline = time.monotonic() + wait_s
        while True:
            done = process.run(
                [*network.nsenter(), *self.ssh_argv(*command)],
                timeout_s=60,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout
            if time.monotonic() > deadline:
                raise lab_exception.LabStepFailed(
                    step='ssh', machine=self.machine.name, error=done.stderr
                )
            time.sleep(1)

    def forget_host_key(self) -> None:
        """Forget the SSH host key: each deploy brings a new one."""
        (self.folder / 'known_hosts').unlink(missing_ok=True)

    def state(self) -> str | None:
        """Return the provision state; None: the node does not exist."""
        try:
            return self.field('provision_state')
        except exception.ProcessFailed as exc:
            if 'could not be found' in str(exc):
                return None
            raise

    def settle(self) -> str | None:
        """Wait for what is under way, give up what waits for a ramdisk.

        :returns: the provision state that it is in then.
        :raises LabStepFailed: it is still under way after STEP_S seconds.
        """
        deadline = time.monotonic() + STEP_S
        while (state := self.state()) in (*ON_ITS_WAY, *ABORTED):
            if state in ABORTED:
                self.baremetal('node', 'abort', self.machine.name, check=False)
            if time.monotonic() > deadline:
                raise lab_exception.LabStepFailed(
                    step='settle', machine=self.machine.name, error=str(state)
                )
            time.sleep(2)
        return state

    def field(self, name: str) -> str:
        """Return one field of the node as text.

        :raises ProcessFailed: there is no such node, or no Ironic.
        """
        done = process.run(
            [
                *network.nsenter(),
                ironic.executable('openstack'),
                'baremetal',
                'node',
                'show',
                self.machine.name,
                '-f',
                'value',
                '-c',
                name,
            ],
            timeout_s=60,
            env=client_environment(),
        )
        return done.stdout.strip()


def run(
    lab: lifecycle.Lab, machine: machines.Declaration, *, keep: bool
) -> None:
    """Walk one machine through the whole journey, from wherever it is.

    :param keep: stop when it is delivered instead of giving it back.
    :raises ZsbmError: a step failed; the message says which and why.
    """
    server = Server(lab, machine)
    image = lab.os_image()
    make_available(server)
    server.describe_instance(image)
    server.forget_host_key()
    server.deploy()
    lab.report.say(f'\n$ {_shown(server.ssh_argv("hostname"))}')
    answer = server.ssh(f'hostname; cat {MARKER}; uname -r')
    lab.report.say('  ' + '\n  '.join(answer.strip().splitlines()))
    timeline = server.baremetal('node', 'boot', 'timeline', machine.name)
    lab.report.say(timeline.stdout)
    if not keep:
        server.provision('undeploy')
        lab.report.say(f'\n{machine.name} was delivered and given back.')


def make_available(server: Server) -> None:
    """Bring a machine to `available`, whatever state it is in now.

    :raises LabStepFailed: a step failed.
    """
    state = server.settle()
    if state is None:
        server.enrol()
        state = 'enroll'
    if state == 'enroll':
        server.manage()
        server.provision('inspect')
        state = 'manageable'
    if state in GIVEN_BACK:
        server.provision('undeploy')
    elif state in ('clean failed', 'inspect failed'):
        server.provision('manage')
        state = 'manageable'
    if state == 'manageable':
        server.provision('provide')


def _shown(words: Sequence[str]) -> str:
    short = [
        word if len(word) < LONGEST_SHOWN else f'{word[:LONGEST_SHOWN]}...'
        for word in words
    ]
    return shlex.join(short)
