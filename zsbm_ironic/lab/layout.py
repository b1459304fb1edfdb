# SPDX-License-Identifier: Apache-2.0
"""Where everything of a lab lives: folders, addresses, user ids.

Called by every module of the lab. The state folder holds one lab and goes
with `zsbm-lab down --wipe`; the cache folder holds what takes minutes to
build and is shared by all labs of a host.
"""

import dataclasses
import os
import pathlib

NAMESPACE = 'zsbm-lab'
BRIDGE = 'br-prov'

# Documentation ranges (RFC 5737): no interface of a real host has them.
PROVISIONING_CIDR = '198.51.100.0/24'
RELAYED_CIDR = '203.0.113.0/24'
CONDUCTOR_ADDRESSES = ('198.51.100.1', '198.51.100.2')
DHCP_RANGE = ('198.51.100.50', '198.51.100.99')
BMC_NETWORK = '192.0.2.0/24'
FIRST_BMC = 11
# Where machines are in the network of the host itself, whatever that is
# (RFC 2544: for benchmarks, never routed).
HOSTED_BMC_NETWORK = '198.18.5.0/24'
SERVER_NETWORK = '198.51.100.'
FIRST_SERVER = 101
# Between the services of a cloud (RFC 2544: for benchmarks, never routed).
MANAGEMENT_BRIDGE = 'br-mgmt'
CONTROLLER = '198.18.0.1'
GATEWAY = '198.18.0.2'
UNDERLAY_NETWORK = '198.18.1.'
VM_HOST = '198.18.0.3'
API_PORT = 6385
HTTP_PORT = 8080

# Numbers without an entry in /etc/passwd: a lab leaves no account behind.
SHARED_GID = 64100
IRONIC_UID = 64101
NETBOOT_UID = 64102
EMULATOR_UID = 64103
DATABASE_UID = 64104
CLOUD_UID = 64105
VM_UID = 64106
UIDS = (
    IRONIC_UID,
    NETBOOT_UID,
    EMULATOR_UID,
    DATABASE_UID,
    CLOUD_UID,
    VM_UID,
)


def _folder(variable: str, default: str) -> pathlib.Path:
    return pathlib.Path(os.environ.get(variable) or default)


@dataclasses.dataclass(frozen=True)
class Layout:
    """The folders of one lab.

    :ivar state: goes away with `down --wipe`.
    :ivar cache: built artefacts, named by the hash of what made them.
    """

    state: pathlib.Path
    cache: pathlib.Path

    @classmethod
    def from_environment(cls) -> 'Layout':
        """Take $ZSBM_LAB_DIR and $ZSBM_LAB_CACHE, else /var/..."""
        return cls(
            _folder('ZSBM_LAB_DIR', '/var/lib/zsbm-lab'),
            _folder('ZSBM_LAB_CACHE', '/var/cache/zsbm-lab'),
        )

    @property
    def etc(self) -> pathlib.Path:
        return self.state / 'etc'

    @property
    def run(self) -> pathlib.Path:
        return self.state / 'run'

    @property
    def log(self) -> pathlib.Path:
        return self.state / 'log'

    @property
    def fleet(self) -> pathlib.Path:
        """What BMCs without machines keep, and where they are told."""
        return self.state / 'fleet'

    @property
    def machines(self) -> pathlib.Path:
        return self.state / 'machines'

    @property
    def built(self) -> pathlib.Path:
        """Built files that this lab uses, whatever the cache drops."""
        return self.state / 'built'

    @property
    def ssh_key(self) -> pathlib.Path:
        return self.state / 'ssh' / 'id_ed25519'

    def conductor(self, number: int) -> pathlib.Path:
        """Folder of conductor `number` (1, 2): database, images, boot."""
        return self.state / f'conductor-{number}'
