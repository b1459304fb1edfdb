# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, sorted by what the caller should do about it.

::

    ZsbmError
    |-- Retry          the next try may work: nothing has to be changed
    |   |-- ProcessTimedOut, DownloadFailed
    |   `-- BmcUnreachable, BmcBusy, BmcUnconfirmed
    |-- FixSettings    a person has to change a setting, which is named
    |   |-- ToolMissing, AptSourcesMissing, DiskTooSmall
    |   |-- BmcSettingInvalid, BmcSettingMissing, BmcProtocolUnclear
    |   |-- BmcCredentialsRefused
    |   |-- BmcCertificateUntrusted, BmcCertificateChanged
    |   |-- NetbootSettingInvalid, NetbootRangeUsedUp
    |   |-- NetbootServiceDown, NetbootServiceFailing
    |   `-- DesiredRecordInvalid, ForeignDhcpServer
    `-- GiveUp         neither a retry nor a setting helps
        |-- ProcessFailed, BuildFailed
        `-- BmcUnsupported, BmcCommandFailed

Plain exceptions that import no ironic: the drivers translate them, once, into
ironic's own. A message says what, where, what the other side answered, and
the remedy. Every class here is rendered by a unit test from `EXAMPLE`. What
only one room can meet grows on the same tree in the `exception` of that room.
"""

from typing import Any, ClassVar


class ZsbmError(Exception):
    """Base of all our errors; the message is `template` with the fields."""

    template: ClassVar[str] = 'An unknown zsbm-ironic error occurred.'
    EXAMPLE: ClassVar[dict[str, Any]] = {}

    def __init__(self, **fields: Any) -> None:
        self.fields = fields
        super().__init__(self.template.format(**fields))


class Retry(ZsbmError):
    """The next try may work."""


class FixSettings(ZsbmError):
    """A person has to change the setting that the message names."""


class GiveUp(ZsbmError):
    """Neither a retry nor a setting helps."""


class ProcessTimedOut(Retry):
    """A program ran longer than its limit and was killed."""

    template = '{program} was still running after {timeout_s} s: killed.'
    EXAMPLE = {'program': 'qemu-img info disk.qcow2', 'timeout_s': 30}


class ProcessFailed(GiveUp):
    """A program could not be started or ended with an error."""

    template = '{program} ended with exit status {returncode}: {stderr}'
    EXAMPLE = {
        'program': 'qemu-img info disk.qcow2',
        'returncode': 1,
        'stderr': 'Could not open disk.qcow2',
    }


class BmcUnreachable(Retry):
    """Nobody answered at the BMC's address within the time limit."""

    template = (
        'BMC {address} did not answer {what} within {timeout_s} s. Check that '
        'it has power and network, and driver_info {key}.'
    )
    EXAMPLE = {
        'address': '192.0.2.11',
        'what': 'IPMI on UDP port 623',
        'timeout_s': 15,
        'key': 'bmc_address',
    }


class BmcBusy(Retry):
    """The BMC is there but takes no new work at the moment."""

    template = (
        'BMC {address} is busy: {answer}. Try again in a minute; if it stays '
        'so, close other sessions to it or restart the BMC.'
    )
    EXAMPLE = {
        'address': '192.0.2.11',
        'answer': 'insufficient resources to create a session (RAKP 0x01)',
    }


class BmcUnconfirmed(Retry):
    """An action was sent once and no answer came: it may have happened."""

    template = (
        'BMC {address} did not confirm "{action}": it may or may not have '
        'acted, and it was not asked twice. Look at the power state before '
        'you try again.'
    )
    EXAMPLE = {'address': '192.0.2.11', 'action': 'chassis soft off'}


class BmcSettingInvalid(FixSettings):
    """A key of driver_info has a value that cannot be used."""

    template = 'driver_info {key}: {reason}'
    EXAMPLE = {
        'key': 'bmc_port',
        'reason': '"http" is not a port number from 1 to 65535.',
    }


class BmcSettingMissing(FixSettings):
    """A key of driver_info that is needed is not there."""

    template = 'driver_info {key} is missing: {reason}'
    EXAMPLE = {
        'key': 'bmc_address',
        'reason': 'set it to the address or host name of the BMC.',
    }


class BmcCredentialsRefused(FixSettings):
    """The BMC answered and does not accept user or password."""

    template = (
        'BMC {address} refused user {username} ({answer}). Check driver_info '
        '{keys}.'
    )
    EXAMPLE = {
        'address': '192.0.2.11',
        'username': 'admin',
        'answer': 'unauthorized name, RAKP 0x0d',
        'keys': 'bmc_username and bmc_password',
    }


class BmcCertificateUntrusted(FixSettings):
    """The BMC's certificate cannot be verified, so no password was sent."""

    template = (
        'BMC {address} shows a TLS certificate that cannot be verified '
        '({reason}); no password was sent. Subject: {subject}. SHA-256 '
        'fingerprint: {fingerprint}. Compare it with the one on the BMC, '
        'then either set driver_info bmc_cert_fingerprint={fingerprint} to '
        'trust exactly this certificate, or driver_info bmc_verify_ca=PATH '
        'with the CA that signed it.'
    )
    EXAMPLE = {
        'address': '192.0.2.11:443',
        'reason': 'self-signed certificate',
        'subject': 'CN=bmc-factory',
        'fingerprint': 'sha256:' + '5e' * 32,
    }


class BmcCertificateChanged(FixSettings):
    """The BMC shows another certificate than the pinned one."""

    template = (
        'BMC {address} shows another TLS certificate than the pinned one; no '
        'password was sent. Subject: {subject}. SHA-256 fingerprint now: '
        '{fingerprint}, pinned: {pinned}. If you renewed it, set driver_info '
        'bmc_cert_fingerprint={fingerprint}; if not, somebody may be between '
        'this conductor and the BMC.'
    )
    EXAMPLE = {
        'address': '192.0.2.11:443',
        'subject': 'CN=bmc-factory',
        'fingerprint': 'sha256:' + '5e' * 32,
        'pinned': 'sha256:' + 'a0' * 32,
    }


class BmcProtocolUnclear(FixSettings):
    """Detection cannot tell the protocol without risking a downgrade."""

    template = (
        'The protocol of BMC {address} is unclear: {reason}. Try again if its '
        'network loses packets, else set driver_info bmc_protocol to redfish '
        'or to ipmi.'
    )
    EXAMPLE = {
        'address': '192.0.2.11',
        'reason': 'TCP port 443 is silent while IPMI answers',
    }


class BmcUnsupported(GiveUp):
    """The BMC cannot do what was asked."""

    template = 'BMC {address} does not support {what}: {answer}.'
    EXAMPLE = {
        'address': '192.0.2.11',
        'what': 'the identify LED',
        'answer': 'invalid command (completion code 0xc1)',
    }


class BmcCommandFailed(GiveUp):
    """The BMC answered a command with an error."""

    template = (
        'BMC {address} answered {what} with an error: {answer}. The event '
        'log of the BMC may say more.'
    )
    EXAMPLE = {
        'address': '192.0.2.11',
        'what': 'set boot device',
        'answer': 'parameter out of range (completion code 0xc9)',
    }


class NetbootSettingInvalid(FixSettings):
    """An option of [zsbm_netboot] cannot be used as it is."""

    template = 'Option [zsbm_netboot]{option}: {problem}'
    EXAMPLE = {
        'option': 'subnets',
        'problem': 'range 198.51.100.9-198.51.100.1 ends before it begins.',
    }


class NetbootRangeUsedUp(FixSettings):
    """No address is left for one more machine."""

    template = (
        'No address is left for MAC {mac} in subnet {cidr}: all {size} of '
        'range {range} are taken. Widen the range in [zsbm_netboot]subnets, '
        'or delete ports that are gone.'
    )
    EXAMPLE = {
        'mac': '52:54:00:00:00:01',
        'cidr': '198.51.100.0/24',
        'size': 50,
        'range': '198.51.100.50-198.51.100.99',
    }


class NetbootServiceDown(FixSettings):
    """Nobody serves what the conductor wants to be served."""

    template = (
        'zsbm-netboot is not running on conductor {conductor} ({evidence}): '
        'machines get no address and no boot file. Start it (systemctl '
        'start zsbm-netboot) and look at its log.'
    )
    EXAMPLE = {
        'conductor': 'deploy-1',
        'evidence': 'last heartbeat 42 s ago',
    }


class NetbootServiceFailing(FixSettings):
    """The boot service runs, but one of its programs does not."""

    template = (
        'zsbm-netboot on conductor {conductor} cannot serve: {failures} '
        'Remove the cause; often another program has the port. The log of '
        'zsbm-netboot has more.'
    )
    EXAMPLE = {
        'conductor': 'deploy-1',
        'failures': (
            'http ended with status 1 and is started again in 4 s: bind() '
            'to 198.51.100.1:8080 failed (98: Address already in use)'
        ),
    }


class DesiredRecordInvalid(FixSettings):
    """A record of desired state is not as its schema says."""

    template = 'Desired state of MAC {mac}: {problem}'
    EXAMPLE = {
        'mac': '52:54:00:00:00:01',
        'problem': "client_id: 'ff:00,option:6' is not hexadecimal pairs.",
    }


class ForeignDhcpServer(FixSettings):
    """Somebody else answers DHCP on the provisioning network."""

    template = (
        'Another DHCP server answers on the provisioning network: {servers}. '
        'A machine that takes its answer does not boot from here. Switch it '
        'off, or list it in [zsbm_netboot]known_dhcp_servers if it belongs '
        'there and leaves our machines alone.'
    )
    EXAMPLE = {'servers': '198.51.100.77 (MAC 52:54:00:00:00:99)'}


class DownloadFailed(Retry):
    """Something could not be fetched from a mirror or index."""

    template = '{what} could not be fetched: {why}'
    EXAMPLE = {
        'what': 'Debian package ipxe',
        'why': 'Could not resolve the name of the mirror',
    }


class ToolMissing(FixSettings):
    """A program that a step needs is not installed."""

    template = (
        '{tool} is needed for {purpose} and is not installed. Install it: '
        'apt-get install {package}'
    )
    EXAMPLE = {
        'tool': 'mmdebstrap',
        'purpose': 'building the deploy ramdisk',
        'package': 'mmdebstrap',
    }


class AptSourcesMissing(FixSettings):
    """This host's apt names no Debian archive to fetch from."""

    template = (
        '{folder} names no Debian archive with component main (suite '
        'bookworm, trixie, ...). Add one there: packages are fetched from '
        'the mirror that this host uses.'
    )
    EXAMPLE = {'folder': '/etc/apt'}


class DiskTooSmall(FixSettings):
    """A file system has too little room for what is to be built in it."""

    template = (
        '{folder} has {free_mib} MiB free, {needed_mib} MiB are needed. '
        'Free some, or choose another folder.'
    )
    EXAMPLE = {
        'folder': '/var/cache/zsbm-lab',
        'free_mib': 120,
        'needed_mib': 2500,
    }


class BuildFailed(GiveUp):
    """A builder ended with an error that is not the network's."""

    template = '{what} could not be built: {why}'
    EXAMPLE = {
        'what': 'the deploy ramdisk',
        'why': 'no module named ahci in kernel 6.1.0-56-amd64',
    }
