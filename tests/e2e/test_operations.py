# SPDX-License-Identifier: Apache-2.0
"""What a person does with a server that has been delivered."""

import json
import secrets
import socket

from tests.e2e import base
from zsbm_ironic.lab import demo, network


class OperationsTest(base.LabTest):
    """Rebuild, rescue, power, boot device and console, on both protocols."""

    def test_uefi_redfish(self):
        self.operate('metal-uefi')

    def test_bios_ipmi(self):
        self.operate('metal-bios')

    def operate(self, name):
        server = self.delivered(name)
        self.check_power(server)
        self.check_boot_device(server)
        self.check_console(server)
        self.check_rebuild(server)
        self.check_rescue(server)

    def delivered(self, name):
        """Return a server that answers by SSH."""
        server = self.server(name)
        if server.state() != 'active':
            demo.make_available(server)
            server.describe_instance(self.image())
            server.forget_host_key()
            server.deploy()
        server.ssh('true')
        return server

    def check_power(self, server):
        name = server.machine.name
        boot_id = server.ssh('cat /proc/sys/kernel/random/boot_id')
        server.baremetal('node', 'reboot', name, '--soft', '--wait', '300')
        self.assertNotEqual(
            boot_id, server.ssh('cat /proc/sys/kernel/random/boot_id')
        )
        server.baremetal('node', 'power', 'off', name, '--wait', '120')
        self.assertEqual('power off', server.field('power_state'))
        server.baremetal('node', 'power', 'on', name, '--wait', '120')
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

    def check_console(self, server):
        """Type a return on the serial console and see the log-in prompt."""
        name = server.machine.name
        server.baremetal(
            *('node', 'set', name),
            *('--console-interface', 'ipmitool-socat'),
            *('--driver-info', 'ipmi_terminal_port=10023'),
        )
        server.baremetal('node', 'console', 'enable', name)
        self.addCleanup(server.baremetal, 'node', 'console', 'disable', name)
        done = server.baremetal('node', 'console', 'show', name, '-f', 'json')
        info = json.loads(done.stdout)['console_info']
        host, _, port = info['url'].rpartition('/')[2].rpartition(':')
        text = network.call(lambda: _type_return(host, int(port)))
        self.assertIn(f'{name} login:', text)

    def check_rebuild(self, server):
        server.ssh('touch /root/from-before')
        key = server.ssh('cat /etc/ssh/ssh_host_ed25519_key.pub')
        server.forget_host_key()
        server.provision('rebuild')
        self.assertNotIn('from-before', server.ssh('ls /root'))
        self.assertNotEqual(
            key, server.ssh('cat /etc/ssh/ssh_host_ed25519_key.pub')
        )

    def check_rescue(self, server):
        password = secrets.token_urlsafe(12)
        server.provision('rescue', '--rescue-password', password)
        self.assertEqual('rescue', server.state())
        server.provision('unrescue')
        server.ssh('true')


def _type_return(host, port):
    """Type a return until something that looks like a prompt came back."""
    with socket.create_connection((host, port), timeout=60) as console:
        text = ''
        while 'login:' not in text:
            console.sendall(b'\r')
            text += console.recv(4096).decode(errors='replace')
        return text
