# SPDX-License-Identifier: Apache-2.0
"""Whom an alert is sent to: Alertmanager's configuration from contacts.

What concerns a system goes to who uses the server (its lessee, else its
owner), what concerns hardware to its owner, all else and what nobody is named
for to the administrator. All of one server that begins together is one
message. Labels are those of the rules in etc/prometheus.

The file of contacts::

    [smtp]
    smarthost = "mail.example.org:587"
    from = "baremetal@example.org"
    username = "baremetal"                            # if it wants a login
    password_file = "/etc/alertmanager/smtp.password"

    [admin]
    email = ["ops@example.org"]

    [project.4fa3…]                        # id of an owner or a lessee
    email = ["shop@example.org"]
    webhook = ["https://chat.example.org/hooks/baremetal"]
"""

import dataclasses
import pathlib
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib import parse

from zsbm_ironic.monitoring import exception

ADMIN = 'admin'
CONTACT_KEYS = frozenset({'email', 'webhook'})
SMTP_KEYS = frozenset({'smarthost', 'from', 'username', 'password_file'})
TABLES = ('smtp', ADMIN, 'project')
# One address and nothing that could be another header or a second one.
_EMAIL = re.compile(r'[^\s@<>,;:"\\()\[\]]+@[^\s@<>,;:"\\()\[\]]+\Z')
_PROJECT = re.compile(r'[A-Za-z0-9_-]{1,64}\Z')
_SUBJECT = (
    '{{ if eq .Status "firing" }}{{ (index .Alerts 0).Annotations.summary }}'
    '{{ else }}Over: {{ (index .Alerts 0).Annotations.summary }}{{ end }}'
    '{{ if gt (len .Alerts) 1 }} (one of {{ len .Alerts }}){{ end }}'
)


@dataclasses.dataclass(frozen=True)
class Contact:
    """Where somebody is told.

    :ivar email: addresses.
    :ivar webhook: URLs that take what Alertmanager posts.
    """

    email: tuple[str, ...] = ()
    webhook: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Contacts:
    """Whom to call.

    :ivar projects: by the id of a project.
    :ivar smtp: the table of the file; empty: no mail is sent.
    """

    admin: Contact
    projects: Mapping[str, Contact]
    smtp: Mapping[str, str]


def load(path: pathlib.Path) -> Contacts:
    """Read the file of contacts.

    :raises ContactsUnusable: it cannot be read, or says something wrong.
    """
    try:
        text = path.read_text()
    except (OSError, ValueError) as exc:
        raise exception.ContactsUnusable(file=path, problem=exc) from exc
    return read(text, str(path))


def read(text: str, file: str) -> Contacts:
    """Read what a file of contacts says.

    :param file: its name, for errors.
    :raises ContactsUnusable: it says something wrong.
    """

    def wrong(problem: str) -> exception.ContactsUnusable:
        return exception.ContactsUnusable(file=file, problem=problem)

    try:
        said = tomllib.loads(text)
        _check_keys(said, TABLES, file)
        smtp = _strings(said.get('smtp', {}), 'smtp')
        _check_keys(smtp, SMTP_KEYS, '[smtp]')
        contacts = Contacts(
            _contact(said.get(ADMIN, {}), ADMIN),
            {
                _project(project): _contact(table, f'project.{project}')
                for project, table in _table(
                    said.get('project', {}), 'project'
                ).items()
            },
            smtp,
        )
        every = (contacts.admin, *contacts.projects.values())
        if any(one.email for one in every):
            for key in ('smarthost', 'from'):
                if not smtp.get(key):
                    raise ValueError(
                        f'[smtp] has no {key}, and somebody has an email.'
                    )
    except ValueError as exc:  # TOMLDecodeError is one
        raise wrong(str(exc)) from exc
    return contacts


def configuration(contacts: Contacts) -> dict[str, Any]:
    """Return what alertmanager.yml says."""
    projects = sorted(contacts.projects)
    return {
        'global': _global(contacts.smtp),
        'route': {
            'receiver': ADMIN,
            'group_by': ['node_uuid', 'concerns'],
            'group_wait': '30s',
            'group_interval': '5m',
            'repeat_interval': '24h',
            'routes': list(_routes(projects)),
        },
        'inhibit_rules': [
            # The BMC tells nothing: what is old is no news.
            _inhibits('alertname="BmcSilent"', 'alertname="ReadingsOld"'),
        ],
        'receivers': [
            _receiver(ADMIN, contacts.admin),
            *(
                _receiver(f'project-{one}', contacts.projects[one])
                for one in projects
            ),
        ],
    }


def _routes(projects: list[str]) -> Iterator[dict[str, Any]]:
    for one in projects:
        receiver = f'project-{one}'
        for matchers in (
            ['concerns="system"', f'lessee="{one}"'],
            ['concerns="system"', 'lessee=""', f'owner="{one}"'],
            ['concerns="hardware"', f'owner="{one}"'],
        ):
            yield {'receiver': receiver, 'matchers': matchers}


def _inhibits(source: str, target: str) -> dict[str, Any]:
    return {
        'source_matchers': [source],
        'target_matchers': [target],
        'equal': ['node_uuid'],
    }


def _receiver(name: str, contact: Contact) -> dict[str, Any]:
    return {
        'name': name,
        'email_configs': [
            {
                'to': address,
                'send_resolved': True,
                'headers': {'Subject': _SUBJECT},
            }
            for address in contact.email
        ],
        'webhook_configs': [
            {'url': url, 'send_resolved': True} for url in contact.webhook
        ],
    }


def _global(smtp: Mapping[str, str]) -> dict[str, Any]:
    names = {
        'smarthost': 'smtp_smarthost',
        'from': 'smtp_from',
        'username': 'smtp_auth_username',
        'password_file': 'smtp_auth_password_file',
    }
    return {names[key]: value for key, value in smtp.items()}


def _check_keys(
    table: Mapping[str, Any], known: Collection[str], where: str
) -> None:
    for key in table:
        if key not in known:
            raise ValueError(
                f'{key} of {where} is not one of {", ".join(sorted(known))}.'
            )


def _table(said: Any, name: str) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError(f'{name} is no table.')
    return said


def _strings(said: Any, name: str) -> dict[str, str]:
    table = _table(said, name)
    for key, value in table.items():
        if not isinstance(value, str) or not value.isprintable():
            raise ValueError(f'{key} of [{name}] is no line of text.')
    return table


def _project(name: str) -> str:
    if not _PROJECT.match(name):
        raise ValueError(f'{name!r} is no id of a project.')
    return name


def _contact(said: Any, name: str) -> Contact:
    table = _table(said, name)
    _check_keys(table, CONTACT_KEYS, f'[{name}]')
    contact = Contact(
        tuple(_listed(table, 'email', name)),
        tuple(_listed(table, 'webhook', name)),
    )
    if not contact.email and not contact.webhook:
        raise ValueError(f'[{name}] has neither email nor webhook.')
    for address in contact.email:
        if not _EMAIL.match(address):
            raise ValueError(f'{address!r} of [{name}] is no address.')
    for url in contact.webhook:
        parts = parse.urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'{url!r} of [{name}] is no http(s) URL.')
    return contact


def _listed(table: dict[str, Any], key: str, name: str) -> list[str]:
    said = table.get(key, [])
    if not isinstance(said, list) or not all(
        isinstance(one, str) for one in said
    ):
        raise ValueError(f'{key} of [{name}] is no list of texts.')
    return said
