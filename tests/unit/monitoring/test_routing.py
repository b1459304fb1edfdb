# SPDX-License-Identifier: Apache-2.0
"""Whom an alert is sent to, as Alertmanager's own tool says."""

import json
import pathlib
import shutil

import fixtures
import testtools

from zsbm_ironic.common import process
from zsbm_ironic.monitoring import exception, routing

SMTP = '[smtp]\nsmarthost = "mail.example.org:587"\nfrom = "bm@example.org"\n'
ADMIN = '[admin]\nemail = ["ops@example.org"]\n'
CONTACTS = (
    SMTP
    + ADMIN
    + """
[project.racks]
email = ["racks@example.org", "night@example.org"]

[project.shop]
webhook = ["https://chat.example.org/hooks/1"]
"""
)


@testtools.skipUnless(shutil.which('amtool'), 'prometheus-alertmanager')
class RoutingTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.file = self.folder / 'alertmanager.yml'
        self.write(CONTACTS)

    def write(self, text):
        contacts = routing.read(text, 'contacts.toml')
        self.file.write_text(json.dumps(routing.configuration(contacts)))

    def amtool(self, *words):
        return process.run(['amtool', *words], timeout_s=30).stdout

    def receiver(self, **labels):
        return self.amtool(
            *('config', 'routes', 'test', f'--config.file={self.file}'),
            *(f'{name}={value}' for name, value in labels.items()),
        ).strip()

    def test_alertmanager_takes_it(self):
        self.amtool('check-config', str(self.file))
        self.write(
            SMTP
            + 'username = "bm"\npassword_file = "/etc/smtp.password"\n'
            + ADMIN
        )
        self.amtool('check-config', str(self.file))
        self.write('[admin]\nwebhook = ["http://127.0.0.1:9/"]\n')
        self.amtool('check-config', str(self.file))

    def test_the_right_one_is_called(self):
        for concerns, owner, lessee, receiver in (
            ('system', 'racks', 'shop', 'project-shop'),
            ('system', 'racks', '', 'project-racks'),
            # Who uses it is not named: its owner has no business in it.
            ('system', 'racks', 'unknown', 'admin'),
            ('hardware', 'racks', 'shop', 'project-racks'),
            ('hardware', '', 'shop', 'admin'),
            ('hardware', 'unknown', '', 'admin'),
            ('fleet', 'racks', 'shop', 'admin'),
        ):
            self.assertEqual(
                receiver,
                self.receiver(concerns=concerns, owner=owner, lessee=lessee),
                (concerns, owner, lessee),
            )


class ContactsTest(testtools.TestCase):
    def test_what_is_wrong_is_named(self):
        for text, word in (
            ('', '[admin] has neither'),
            ('nothing', 'contacts.toml'),
            ('admin = 1\n', 'no table'),
            (ADMIN, '[smtp] has no smarthost'),
            (SMTP + '[admin]\nmail = ["a@b"]\n', 'mail of [admin]'),
            (SMTP + '[admin]\nemail = "a@b"\n', 'no list'),
            (SMTP + '[admin]\nemail = ["a@b, c@d"]\n', 'no address'),
            (SMTP + '[admin]\nemail = ["a@b\\nBcc: c@d"]\n', 'no address'),
            ('[admin]\nwebhook = ["file:///etc/passwd"]\n', 'no http'),
            ('[smtp]\nfrom = "a\\nb"\n' + ADMIN, 'no line'),
            (SMTP + ADMIN + '[project."a\\"b"]\nemail = ["a@b"]\n', 'no id'),
            (SMTP + ADMIN + '[project.a]\n', '[project.a] has neither'),
            (SMTP + ADMIN + '[projects]\n', 'projects of contacts.toml'),
        ):
            error = self.assertRaises(
                exception.ContactsUnusable, routing.read, text, 'contacts.toml'
            )
            self.assertIn(word, str(error), text)

    def test_a_file_that_is_not_there(self):
        self.assertRaises(
            exception.ContactsUnusable,
            routing.load,
            pathlib.Path('/nonexistent'),
        )
