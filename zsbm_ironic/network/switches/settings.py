# SPDX-License-Identifier: Apache-2.0
"""How to reach each switch, from the file in which Neutron has it.

networking-generic-switch keeps a section [genericswitch:NAME] for each switch
in the configuration of Neutron; an operator names that file once more for
the conductor and writes nothing twice. Read by oslo.config's own parser, as
there. A file is read again for each question, so that a new password takes
effect; a section is judged when its switch is asked, so that a mistake in one
hides no other.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping

from oslo_config import cfg
from oslo_utils import strutils

from zsbm_ironic.network import exception
from zsbm_ironic.network.switches import base

SECTION = 'genericswitch:'
SSH_PORT = 22
_KINDS = ('ciphers', 'kex', 'keys', 'macs', 'pubkeys')


@dataclasses.dataclass(frozen=True)
class SwitchSettings:
    """One switch: where it is, who asks, what Neutron knows of it.

    :ivar file: that has its section, for messages.
    :ivar device_type: as networking-generic-switch names it.
    :ivar secret: password of `sudo` on a switch that is a Linux.
    :ivar use_keys: without `key_file`, those of the user's ~/.ssh.
    :ivar known_hosts: file with its host key (`alt_key_file`); None: unset.
    :ivar disabled_algorithms: of SSH, as paramiko takes them.
    :ivar mac: its switch_id, normalised; None: unset.
    :ivar ovs_bridge: of an Open vSwitch; None: unset.
    :ivar allowed_vlans: that Neutron may use there; None: all.
    :ivar allowed_ports: that Neutron may change there; None: all.
    """

    name: str
    file: str
    device_type: str
    address: str
    port: int
    username: str
    password: str | None = dataclasses.field(repr=False)
    secret: str = dataclasses.field(repr=False)
    use_keys: bool
    key_file: str | None
    passphrase: str | None = dataclasses.field(repr=False)
    known_hosts: str | None
    disabled_algorithms: Mapping[str, list[str]]
    mac: str | None
    ovs_bridge: str | None
    allowed_vlans: frozenset[str] | None = None
    allowed_ports: frozenset[str] | None = None

    @property
    def place(self) -> str:
        """Address and port, for messages."""
        host = f'[{self.address}]' if ':' in self.address else self.address
        return f'{host}:{self.port}'

    def invalid(
        self, option: str, problem: str
    ) -> exception.SwitchSettingInvalid:
        """Return the error that says what is wrong with an option."""
        return exception.SwitchSettingInvalid(
            file=self.file, switch=self.name, option=option, problem=problem
        )


class Switches:
    """All sections of some files.

    :param sections: (file, options) by the name of the switch.
    """

    def __init__(
        self,
        files: tuple[str, ...],
        sections: Mapping[str, tuple[str, Mapping[str, str]]],
    ) -> None:
        self._files = files
        self._sections = sections

    @property
    def names(self) -> tuple[str, ...]:
        """Of all switches, in the order of their files."""
        return tuple(self._sections)

    def find(
        self, switch_info: str | None = None, switch_id: str | None = None
    ) -> SwitchSettings:
        """Return the switch that local_link_connection of a port names.

        The MAC counts before the name, as in networking-generic-switch:
        another order would ask another switch than the one it changes.

        :raises SwitchUnknown: no section has either.
        :raises SwitchSettingInvalid: the section cannot be used.
        """
        name = self._with_mac(switch_id) or switch_info
        if not name or name not in self._sections:
            raise exception.SwitchUnknown(
                switch_info=base.printable(switch_info or '(none)'),
                switch_id=base.printable(switch_id or '(none)'),
                files=' '.join(self._files),
                known=', '.join(self.names) or 'none',
            )
        file, options = self._sections[name]
        return _Section(name, file, options).read()

    def _with_mac(self, switch_id: str | None) -> str | None:
        wanted = base.normalised_mac(switch_id)
        if wanted is None:
            return None
        for name, (_file, options) in self._sections.items():
            if base.normalised_mac(options.get('ngs_mac_address')) == wanted:
                return name
        return None


def read(files: Iterable[str]) -> Switches:
    """Read all sections; where two have one name the later file counts.

    :raises SwitchesUnreadable: a file is missing, not readable, or has
        another format.
    """
    names = tuple(files)
    found: dict[str, tuple[str, Mapping[str, str]]] = {}
    for file in names:
        sections: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(file, sections).parse()
        except OSError as exc:
            raise exception.SwitchesUnreadable(
                file=file, problem=exc.strerror
            ) from exc
        except (cfg.ParseError, UnicodeDecodeError) as exc:
            # The message of a parse error quotes the line: a password.
            line = getattr(exc, 'lineno', None)
            raise exception.SwitchesUnreadable(
                file=file,
                problem='it is no ini file'
                + (f' (line {line})' if line else ''),
            ) from None
        for section, options in sections.items():
            if section.startswith(SECTION):
                found[section.removeprefix(SECTION)] = (
                    file,
                    {key: values[0] for key, values in options.items()},
                )
    return Switches(names, found)


class _Section:
    """Reads one section, strictly."""

    def __init__(
        self, name: str, file: str, options: Mapping[str, str]
    ) -> None:
        self._name = name
        self._file = file
        self._options = options

    def read(self) -> SwitchSettings:
        address = self._options.get('ip') or self._options.get('host')
        if not address:
            raise self._invalid(
                'ip', 'it is missing: set it to the address of the switch.'
            )
        key_file = self._file_of('key_file')
        use_keys = self._truth('use_keys')
        password = self._options.get('password') or None
        if not (password or use_keys or key_file):
            raise self._invalid(
                'password', 'it is missing, and so are use_keys and key_file.'
            )
        return SwitchSettings(
            name=self._name,
            file=self._file,
            device_type=self._needed(
                'device_type', 'set it to the kind of the switch.'
            ),
            address=address.strip(),
            port=self._port(),
            username=self._needed('username', 'set it to a user there.'),
            password=password,
            secret=self._options.get('secret', ''),
            use_keys=use_keys,
            key_file=key_file,
            passphrase=self._options.get('passphrase') or None,
            known_hosts=self._file_of('alt_key_file'),
            disabled_algorithms=self._disabled_algorithms(),
            mac=base.normalised_mac(self._options.get('ngs_mac_address')),
            ovs_bridge=self._options.get('ngs_ovs_bridge') or None,
            allowed_vlans=self._allowed('ngs_allowed_vlans'),
            allowed_ports=self._allowed('ngs_allowed_ports'),
        )

    def _needed(self, option: str, remedy: str) -> str:
        value = self._options.get(option, '').strip()
        if not value:
            raise self._invalid(option, f'it is missing: {remedy}')
        return value

    def _port(self) -> int:
        text = self._options.get('port', str(SSH_PORT)).strip()
        if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
            raise self._invalid(
                'port',
                f'"{base.printable(text, 20)}" is not a port number from 1 to '
                '65535.',
            )
        return int(text)

    def _truth(self, option: str) -> bool:
        text = self._options.get(option, 'false')
        try:
            return bool(strutils.bool_from_string(text, strict=True))
        except ValueError as exc:
            raise self._invalid(
                option, f'"{base.printable(text, 20)}" is not true or false.'
            ) from exc

    def _list(self, option: str) -> list[str]:
        words = self._options.get(option, '').split(',')
        return [word.strip() for word in words if word.strip()]

    def _allowed(self, option: str) -> frozenset[str] | None:
        """Return a list that is compared word by word; None: it is not set."""
        if option not in self._options:
            return None
        return frozenset(self._list(option))

    def _file_of(self, option: str) -> str | None:
        text = self._options.get(option, '').strip()
        if not text:
            return None
        path = pathlib.Path(text).expanduser()
        try:
            path.open('rb').close()
        except OSError as exc:
            raise self._invalid(
                option,
                f'{path} cannot be read by this conductor: {exc.strerror}.',
            ) from exc
        return str(path)

    def _disabled_algorithms(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for entry in self._list('ngs_ssh_disabled_algorithms'):
            kind, _, algorithm = entry.partition(':')
            if kind not in _KINDS or not algorithm:
                raise self._invalid(
                    'ngs_ssh_disabled_algorithms',
                    f'"{base.printable(entry, 80)}" is not KIND:ALGORITHM '
                    f'with one of {", ".join(_KINDS)}.',
                )
            found.setdefault(kind, []).append(algorithm)
        return found

    def _invalid(
        self, option: str, problem: str
    ) -> exception.SwitchSettingInvalid:
        return exception.SwitchSettingInvalid(
            file=self._file, switch=self._name, option=option, problem=problem
        )
