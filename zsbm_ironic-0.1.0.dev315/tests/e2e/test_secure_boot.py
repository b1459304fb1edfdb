# SPDX-License-Identifier: Apache-2.0
"""A machine with Secure Boot on, deployed by upstream's signed chain.

Its firmware has Microsoft's keys and starts nothing unsigned, so our iPXE
loaders are of no use to it. The type `zsbm` with upstream's boot interface
`pxe` has shim and GRUB instead, and our provider serves what ironic asks for.
"""

from tests.e2e import base

# The global variable of the UEFI specification, section 3.3: four bytes of
# attributes, then 1 where Secure Boot is on.
VARIABLE = (
    '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'
)


class SecureBootTest(base.LabTest):
    """From the factory to a login, signed all the way."""

    plan = base.SPECIAL

    def test_deployed_by_shim_and_grub(self):
        server = self.server('secure-boot')
        name = server.machine.name
        self.forget(server)
        server.enrol()
        server.manage()
        self.addCleanup(self.forget, server)
        server.baremetal(
            *('node', 'set', name, '--boot-interface', 'pxe'),
            '--no-automated-clean',
        )
        server.provision('provide')
        server.describe_instance(self.image())
        server.forget_host_key()
        server.deploy()
        state = server.ssh(f'od -An -t u1 {VARIABLE}').split()
        self.assertEqual('1', state[-1], state)
        fetched = {
            event['Detail'].split()[0].rpartition('/')[2]
            for event in self.timeline(server)
            if event['Source'] == 'tftp'
        }
        self.assertLessEqual(
            {'shimx64.efi', 'grubx64.efi', 'deploy_kernel'}, fetched
        )
