# SPDX-License-Identifier: Apache-2.0
"""Faults of BMCs, of both protocols, on machines.

As those of the wire and the management node (test_faults): told in node
history, by name and with the remedy, within 60 seconds; the next try succeeds
and nothing stays behind.
"""

import time

from tests.e2e import fault_case, figures
from zsbm_ironic.lab import machines

# Restarting a BMC takes this long, about.
RESTART_S = 20
# More than it takes: the row's figures say how many it took.
TRIES = 6
# TCP gets through 30 % of loss, by and by; what gives up says so at once.
LOSSY_S = 240
# A log-in of which an answer is lost takes a slot of the BMC for a minute, so
# that it may have none left; the message says to wait. One port may be heard
# of and the other not.
LOST = ('did not answer', 'is busy', 'is unclear')
BUSY_S = 65


class BmcFaultsTest(fault_case.FaultTest):
    """What goes wrong with BMCs, of both protocols."""

    names = ('metal-bios', 'metal-uefi')

    def test_off(self):
        for name in self.names:
            server = self.managed(name)
            self.fault('bmc-off', name)
            server.baremetal('node', 'power', 'on', name)
            self.told(
                server,
                'did not answer',
                'bmc_address',
                within_s=fault_case.BMC_S,
            )
            self.fault('clear')
            self.power(server, 'on')
            self.assert_nothing_left(server)

    def test_wrong_password(self):
        for name in self.names:
            server = self.enrolled(name)
            self.fault('bmc-password', name)
            done = server.baremetal(
                'node', 'manage', name, '--wait', check=False
            )
            self.assertNotEqual(0, done.returncode)
            user = machines.BMC_USERNAME
            self.told(
                server,
                f'refused user {user}',
                'bmc_password',
                within_s=fault_case.BMC_S,
            )
            self.fault('clear')
            server.provision('manage')
            self.assert_nothing_left(server)

    def test_drops_a_third_of_packets(self):
        """It works, or says why and works at the next try."""
        self.figures = self.useFixture(figures.Figures())
        for name in self.names:
            server = self.enrolled(name)
            self.fault('bmc-drop', name, 30)
            self.tries(server, self.manage, 'manageable', 'provision_state')
            for target in ('on', 'off'):
                self.tries(
                    server,
                    lambda one, to=target: one.baremetal(
                        'node', 'power', to, one.machine.name, check=False
                    ),
                    f'power {target}',
                    'power_state',
                )
            self.fault('clear')
            self.assert_nothing_left(server)

    def manage(self, server):
        server.baremetal('node', 'manage', server.machine.name, check=False)

    def tries(self, server, action, wanted, field):
        """Do it until the field says so; each failure has to be told."""
        for number in range(1, TRIES + 1):
            self.note(server)
            action(server)
            self.until(
                lambda: (
                    self.field(server, field) == wanted
                    or self.heard(server, *LOST)
                ),
                LOSSY_S,
                wanted,
            )
            if self.field(server, field) == wanted:
                self.figures[f'{server.machine.name} {wanted}'] = number
                return
            if self.heard(server, 'is busy'):
                time.sleep(BUSY_S)
        self.fail(f'not {wanted} after {TRIES} tries')

    def test_restarted_in_mid_operation(self):
        """While the ramdisk boots: nobody notices, old sessions or not."""
        server = self.managed('metal-bios')
        self.starts(server, 'inspect', 'inspect wait')
        self.fault('bmc-restart', 'metal-bios', RESTART_S)
        self.leaves(server, 'inspect wait', 'inspecting')
        self.assertEqual('manageable', self.provision_state(server))
        # At the very moment of a power action: it succeeds or says why.
        self.fault('bmc-restart', 'metal-bios', RESTART_S)
        server.baremetal('node', 'power', 'on', server.machine.name)
        self.until(
            lambda: (
                self.field(server, 'power_state') == 'power on'
                or self.heard(server, 'did not answer')
            ),
            fault_case.BMC_S,
        )
        self.power(server, 'on')
        self.assert_nothing_left(server)

    def heard(self, server, *words):
        """Return new events that name the node and have one of these."""
        return [
            text
            for uuid, text in self.events(server).items()
            if uuid not in self.seen
            and server.machine.name in text
            and any(word in text for word in words)
        ]

    def test_certificate_changed(self):
        server = self.managed('metal-uefi')
        name = server.machine.name
        self.fault('bmc-certificate', name)
        fresh = self.bmc(server).status()['redfish']['fingerprint']
        server.baremetal('node', 'power', 'on', name)
        self.told(
            server,
            'another TLS certificate',
            fresh.removeprefix('sha256:'),
            within_s=fault_case.BMC_S,
        )
        server.baremetal(
            *('node', 'set', name),
            *('--driver-info', f'bmc_cert_fingerprint={fresh}'),
        )
        self.power(server, 'on')
        self.assert_nothing_left(server)
