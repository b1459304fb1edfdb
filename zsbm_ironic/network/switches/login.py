# SPDX-License-Identifier: Apache-2.0
"""Log in to a switch, whatever kind it is.

Called by the rest of the room. netmiko is imported by the first login: it
comes with the extra `network`, and a conductor that asks no switch has no use
for the hundred kinds that it knows.
"""

from zsbm_ironic.network import exception
from zsbm_ironic.network.switches import base, settings


def to(
    switch: settings.SwitchSettings,
    *,
    known_hosts: str | None = None,
    timeout_s: float,
) -> base.Switch:
    """Return a switch that is logged in to; `with` logs out.

    :param known_hosts: file with the host keys of switches, in the format of
        ssh; None: `alt_key_file` of the section. Where that is not set
        either any host key is taken, as Neutron's driver does: who can
        redirect the conductor's packets is then given the password.
    :param timeout_s: for the login, and once more for each command.
    :raises SwitchLibraryMissing: the extra `network` is not installed.
    :raises SwitchPlatformUnknown: switches of this kind are not asked.
    :raises SwitchSettingInvalid: the section cannot be used.
    :raises SwitchHostKeysUnreadable: known_hosts cannot be read.
    :raises SwitchUnreachable: nothing accepts a connection.
    :raises SwitchSilent: it took too long.
    :raises SwitchHungUp: it closed the connection.
    :raises SwitchCredentialsRefused: it does not let the user in.
    :raises SwitchHostKeyUntrusted: its host key is another one.
    :raises SwitchAnswerUnclear: it shows no prompt of its kind.
    """
    try:
        from zsbm_ironic.network.switches import platforms, session
    except ImportError as exc:
        raise exception.SwitchLibraryMissing(
            switch=switch.name, answer=str(exc)
        ) from exc
    kind = platforms.PLATFORMS.get(switch.device_type)
    if kind is None:
        raise exception.SwitchPlatformUnknown(
            file=switch.file,
            switch=switch.name,
            option='device_type',
            problem=f'"{base.printable(switch.device_type, 40)}" is none '
            f'that can be asked: {", ".join(platforms.PLATFORMS)}.',
        )
    asked = session.Session(
        switch, kind.NETMIKO, known_hosts=known_hosts, timeout_s=timeout_s
    )
    try:
        return kind(asked)
    except BaseException:
        asked.close()
        raise
