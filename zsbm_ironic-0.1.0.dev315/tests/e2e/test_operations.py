# SPDX-License-Identifier: Apache-2.0
"""What a person does with a server that has been delivered."""

import json
import pathlib
import secrets
import socket
import time

import fixtures

from tests.e2e import base
from zsbm_ironic.common import process
from zsbm_ironic.lab import demo, network

PROMPT_S = 120
RESCUED_S = 180


class OperationsTest(base.LabTest):
    """Rebuild, rescue, power, boot device and console, on both protocols."""

    def test_uefi_redfish(self):
        self.operate('metal-uefi')

    def test_bios_ipmi(self):
        self.operate('metal-bios')

    def operate(self, name):
        server = self.delivered(name)
        self.check_boot_device(server)
        self.check_console(server)
        self.check_rescue(server)
        self.check_rebuild(server)
        self.check_power(server)

    def delivered(self, name):
        """Return a server with a console that answers by SSH."""
        server = self.server(name)
        if server.state() == 'rescue':
            server.provision('unrescue')
        elif server.state() != 'active':
            demo.make_available(server)
            server.describe_instance(self.image())
            server.forget_host_key()
            server.deploy()
        server.ssh('true')
        return server

    def check_power(self, server):
        name = server.machine.name
        before = boot_id(server)
        server.baremetal('node', 'reboot', '--soft', name)
        self.wait_for(
            lambda: boot_id(server) != before, 'soft reboot', base.POWER_S
        )
        server.baremetal('node', 'power', 'off', '--soft', name)
        self.wait_power(server, 'power off')
        server.baremetal('node', 'power', 'on', name)
        self.wait_power(server, 'power on')
        server.ssh('true')

    def check_boot_device(self, server):
        name = server.machine.name
        for words in (('pxe',), ('disk', '--persistent')):
            server.baremetal('node', 'boot', 'device', 'set', name, *words)
            done = server.baremetal(
                *('node', 'boot', 'device', 'show', name, '-f', 'json')
            )
            shown = json.loads(done.stdout)
            self.assertEqual(words[0], shown['boot_device'])
            self.assertEqual('--persistent' in words, shown['persistent'])

    def check_console(self, server):
        """Type a return on the serial console and see the log-in prompt."""
        name = server.machine.name
        # Ironic changes interfaces of an active node in maintenance alone.
        server.baremetal('node', 'maintenance', 'set', name)
        server.baremetal(
            'node', 'set', name, '--console-interface', 'ipmitool-socat'
        )
        server.baremetal('node', 'maintenance', 'unset', name)
        server.baremetal('node', 'console', 'enable', name)
        self.addCleanup(server.baremetal, 'node', 'console', 'disable', name)
        self.wait_for(
            lambda: server.field('console_enabled') == 'True', 'console', 60
        )
        done = server.baremetal('node', 'console', 'show', name, '-f', 'json')
        info = json.loads(done.stdout)['console_info']
        host, _, port = info['url'].rpartition('/')[2].rpartition(':')
        text = network.call(lambda: _type_return(host, int(port)))
        self.assertIn(f'{name} login:', text)

    def check_rescue(self, server):
        name = server.machine.name
        server.ssh('touch /root/from-before; sync')
        password = secrets.token_urlsafe(12)
        server.provision('rescue', '--rescue-password', password)
        self.assertEqual('rescue', server.state())
        answer = self.log_in(server, password, 'id -un; sudo -n blkid')
        self.assertEqual('rescue', answer.split('\n')[0])
        self.assertIn('TYPE="ext4"', answer)
        self.assertNotIn(password, str(self.node(server)))
        server.provision('unrescue')
        self.assertEqual('active', server.state())
        self.assertIn('from-before', server.ssh('ls /root'), name)

    def log_in(self, server, password, command):
        """Run a command as user `rescue`, who has a password alone."""
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        answer = folder / 'answer'
        answer.write_text('#!/bin/sh\nprintf "%s\\n" "$RESCUE_PASSWORD"\n')
        answer.chmod(0o700)
        argv = [
            *(*network.nsenter(), 'ssh', '-oStrictHostKeyChecking=no'),
            *('-oUserKnownHostsFile=/dev/null', '-oConnectTimeout=5'),
            '-oLogLevel=ERROR',
            *('-oNumberOfPasswordPrompts=1', '-oPubkeyAuthentication=no'),
            *(f'rescue@{self.served_address(server)}', command),
        ]
        variables = {
            'RESCUE_PASSWORD': password,
            'SSH_ASKPASS': str(answer),
            'SSH_ASKPASS_REQUIRE': 'force',
        }
        done = []

        def try_it():
            done[:] = [
                process.run(argv, timeout_s=60, env=variables, check=False)
            ]
            return done[0].returncode == 0

        self.wait_for(try_it, f'rescue: {argv}', RESCUED_S)
        return done[0].stdout

    def served_address(self, server):
        """Return the address that zsbm-netboot serves the machine."""
        done = server.baremetal(
            *('port', 'list', '--node', server.machine.name, '-f', 'json'),
            *('--fields', 'address', 'internal_info'),
        )
        (port,) = json.loads(done.stdout)
        return port['internal_info']['zsbm_addresses'][0]

    def check_rebuild(self, server):
        self.assertIn('from-before', server.ssh('ls /root'))
        key = server.ssh('cat /etc/ssh/ssh_host_ed25519_key.pub')
        server.forget_host_key()
        # The image of today, which may not be that of the deploy.
        server.describe_instance(self.image())
        drive = json.dumps(server.config_drive())
        server.provision('rebuild', '--config-drive', drive)
        self.assertNotIn('from-before', server.ssh('ls /root'))
        self.assertNotEqual(
            key, server.ssh('cat /etc/ssh/ssh_host_ed25519_key.pub')
        )


def boot_id(server):
    """Return what the kernel draws anew at each boot."""
    return server.ssh('cat /proc/sys/kernel/random/boot_id')


def _type_return(host, port):
    """Type a return until something that looks like a prompt came back."""
    deadline = time.monotonic() + PROMPT_S
    text = ''
    with socket.create_connection((host, port), timeout=60) as console:
        console.settimeout(5)
        while 'login:' not in text and time.monotonic() < deadline:
            console.sendall(b'\r')
            try:
                text += console.recv(4096).decode(errors='replace')
            except TimeoutError:
                continue
    return text
