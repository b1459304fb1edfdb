# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a server and its networks, on the common tree.

::

    ZsbmError
    |-- Retry
    |   |-- NeutronUnavailable
    |   `-- SwitchUnreachable, SwitchSilent, SwitchHungUp
    |-- FixSettings
    |   |-- NetworkWrong, PortNotBound, PortNotWired
    |   |-- SwitchesUnreadable, SwitchUnknown, SwitchLibraryMissing
    |   |-- SwitchCredentialsRefused
    |   |-- SwitchHostKeysUnreadable, SwitchHostKeyUntrusted
    |   |-- SwitchQuestionInvalid
    |   `-- SwitchSettingInvalid
    |       `-- SwitchPlatformUnknown
    `-- GiveUp
        `-- SwitchAnswerUnclear

That a port is not as it should be is no error but a finding.
"""

from zsbm_ironic.common import exception

_SEEN = (
    '52:54:00:12:34:56: is on physnet2, but vpc-a is on physnet1 '
    '(physical-network). openstack baremetal port set '
    '5c0e30bd-5a8a-4f46-8c5e-0f9a7d3c3a11 --physical-network physnet1.'
)


class NetworkWrong(exception.FixSettings):
    """Something was found that will not work."""

    template = (
        'the network will not work: {findings} All that is looked at: '
        'openstack baremetal node network check {node}'
    )
    EXAMPLE = {'node': 'web-3', 'findings': _SEEN}


class PortNotBound(exception.FixSettings):
    """Neutron did not put a port of a server into its network."""

    template = (
        'port {port} of Neutron is not bound: {why}. {settings} The log of '
        'Neutron tells what each mechanism driver said of the port.'
    )
    EXAMPLE = {
        'port': '0b0d7a7e-8a3a-4a2e-9b6b-0a4f6c1f0d55',
        'why': 'no mechanism driver of Neutron took it',
        'settings': _SEEN,
    }


class NeutronUnavailable(exception.Retry):
    """Neutron cannot be asked, or refuses."""

    template = (
        'Neutron cannot be asked for networks: {answer}. Check that it runs '
        '(openstack network agent list) and the account in [neutron] of '
        'ironic.conf, then try again.'
    )
    EXAMPLE = {'answer': 'Unable to establish connection to 192.0.2.9:9696'}


class PortNotWired(exception.FixSettings):
    """No port of a node says which switch it is plugged into."""

    template = (
        'none of its ports has switch_info and port_id in '
        'local_link_connection, so Neutron cannot put it into a network. Set '
        'them: openstack baremetal port set PORT --local-link-connection '
        'switch_info=SWITCH --local-link-connection port_id=PORT'
    )


class SwitchUnreachable(exception.Retry):
    """Nothing accepts a connection at the address of a switch."""

    template = (
        'Switch {switch} ({address}) cannot be asked for {question}: '
        '{answer}. Check that it is up and that this conductor has a way to '
        'it, then ip and port of [genericswitch:{switch}] in {file}.'
    )
    EXAMPLE = {
        'switch': 'leaf-3',
        'address': '192.0.2.33:22',
        'question': 'port Ethernet1/7',
        'answer': 'Connection refused',
        'file': '/etc/neutron/plugins/ml2/ml2_conf.ini',
    }


class SwitchSilent(exception.Retry):
    """A switch accepted the connection and then took too long."""

    template = (
        'Switch {switch} ({address}) did not answer within {timeout_s} s when '
        'it was asked for {question}. Try again; if it stays so, look at its '
        'load and log, or raise [zsbm_network]switch_timeout_s.'
    )
    EXAMPLE = {
        'switch': 'leaf-3',
        'address': '192.0.2.33:22',
        'question': 'port Ethernet1/7',
        'timeout_s': 30,
    }


class SwitchHungUp(exception.Retry):
    """A switch closed the connection before it had answered."""

    template = (
        'Switch {switch} ({address}) closed the connection when it was asked '
        'for {question} ({answer}). Often it has no session or login attempt '
        'left: try again in a minute, or end other sessions on it.'
    )
    EXAMPLE = {
        'switch': 'leaf-3',
        'address': '192.0.2.33:22',
        'question': 'port Ethernet1/7',
        'answer': 'Error reading SSH protocol banner',
    }


class SwitchesUnreadable(exception.FixSettings):
    """A file that should tell of switches cannot be read."""

    template = (
        'Switches cannot be read from {file}: {problem}. '
        '[zsbm_network]switch_settings names the files that have the '
        '[genericswitch:NAME] sections of Neutron, and the user of '
        'ironic-conductor has to be able to read them.'
    )
    EXAMPLE = {
        'file': '/etc/neutron/plugins/ml2/ml2_conf.ini',
        'problem': 'Permission denied',
    }


class SwitchUnknown(exception.FixSettings):
    """No section tells how to reach the switch that a port names."""

    template = (
        'No switch has the name {switch_info} or the MAC {switch_id}: '
        '{files} tells of {known}. Correct switch_info or switch_id in '
        'local_link_connection of the port, or add a section '
        '[genericswitch:{switch_info}] there.'
    )
    EXAMPLE = {
        'switch_info': 'leaf-3',
        'switch_id': '52:54:00:00:00:33',
        'files': '/etc/neutron/plugins/ml2/ml2_conf.ini',
        'known': 'leaf-1, leaf-2',
    }


class SwitchSettingInvalid(exception.FixSettings):
    """An option of a switch's section cannot be used as it is."""

    template = '{file}, [genericswitch:{switch}]{option}: {problem}'
    EXAMPLE = {
        'file': '/etc/neutron/plugins/ml2/ml2_conf.ini',
        'switch': 'leaf-3',
        'option': 'ip',
        'problem': 'it is missing: set it to the address of the switch.',
    }


class SwitchPlatformUnknown(SwitchSettingInvalid):
    """A kind of switch that is not asked: what it has stays unknown."""


class SwitchLibraryMissing(exception.FixSettings):
    """The library that talks to switches is not installed."""

    template = (
        'Asking switch {switch} needs what is not installed: {answer}. '
        "Install it where ironic-conductor runs: pip install 'zsbm-ironic"
        "[network]'; or empty [zsbm_network]switch_settings."
    )
    EXAMPLE = {'switch': 'leaf-3', 'answer': "No module named 'netmiko'"}


class SwitchCredentialsRefused(exception.FixSettings):
    """A switch answered and does not let the user in."""

    template = (
        'Switch {switch} ({address}) refused user {username} ({answer}). '
        'Check {options} of [genericswitch:{switch}] in {file}.'
    )
    EXAMPLE = {
        'switch': 'leaf-3',
        'address': '192.0.2.33:22',
        'username': 'neutron',
        'answer': 'Authentication failed',
        'options': 'username and password',
        'file': '/etc/neutron/plugins/ml2/ml2_conf.ini',
    }


class SwitchHostKeysUnreadable(exception.FixSettings):
    """The file with the host keys of switches cannot be read."""

    template = (
        'Host keys of switches cannot be read from {file}: {problem}. It is '
        '[zsbm_network]switch_known_hosts or alt_key_file of a switch, in '
        'the format of ssh, and the user of ironic-conductor reads it.'
    )
    EXAMPLE = {
        'file': '/etc/ironic/switch_known_hosts',
        'problem': 'No such file or directory',
    }


class SwitchHostKeyUntrusted(exception.FixSettings):
    """A switch shows a host key that nobody vouches for."""

    template = (
        'Switch {switch} ({address}) shows a host key that {problem} '
        '{known_hosts}; no password was sent. Compare what "ssh-keyscan -p '
        '{port} {host}" prints with the key on the switch itself, and put it '
        'there if it is the same; if not, somebody may be between this '
        'conductor and the switch.'
    )
    EXAMPLE = {
        'switch': 'leaf-3',
        'address': '192.0.2.33:22',
        'problem': 'is not in',
        'known_hosts': '/etc/ironic/switch_known_hosts',
        'port': 22,
        'host': '192.0.2.33',
    }


class SwitchQuestionInvalid(exception.FixSettings):
    """A name or number that must not reach the command line of a switch."""

    template = (
        '{what} {value} is not asked for: {problem}. Correct '
        'local_link_connection or the address of the port.'
    )
    EXAMPLE = {
        'what': 'port_id',
        'value': "'eth0; reboot'",
        'problem': 'only letters, digits and . _ / : - may be in it',
    }


class SwitchAnswerUnclear(exception.GiveUp):
    """A switch answered something that cannot be understood."""

    template = (
        'Switch {switch} ({address}) was asked for {question} and its answer '
        'is not understood ({why}): {answer}. Log in as {username} and try: '
        '{command}'
    )
    EXAMPLE = {
        'switch': 'leaf-3',
        'address': '192.0.2.33:22',
        'question': 'port Ethernet1/7',
        'why': 'an error of the switch',
        'answer': '% Permission denied for the role',
        'username': 'neutron',
        'command': 'show interface Ethernet1/7',
    }
