# SPDX-License-Identifier: Apache-2.0
"""Packages come from where this host gets its own, whatever the syntax."""

import pathlib

import fixtures
from oslotest import base

from zsbm_ironic.common import apt, exception

DEB822 = """\
# Comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/own.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://mirror.example/off
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: http://other.example/vendor
Suites: nodistro
Components: main
"""
ONE_LINE = """\
# deb http://mirror.example/comment bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm non-free
deb http://mirror.example/security bookworm-security main
"""


class TestSources(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.etc = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        (self.etc / 'sources.list.d').mkdir()

    def test_deb822(self):
        path = self.etc / 'sources.list.d' / 'debian.sources'
        path.write_text(DEB822)
        self.assertEqual(
            [
                apt.Source(
                    'http://mirror.example/debian',
                    ('bookworm', 'bookworm-updates'),
                    '/usr/share/keyrings/own.gpg',
                ),
                apt.Source(
                    'http://mirror.example/debian-security',
                    ('bookworm-security',),
                ),
            ],
            apt.sources('bookworm', self.etc),
        )

    def test_one_line(self):
        (self.etc / 'sources.list').write_text(ONE_LINE)
        self.assertEqual(
            [
                apt.Source(
                    'http://mirror.example/debian', ('bookworm',), '/k.gpg'
                ),
                apt.Source(
                    'http://mirror.example/security', ('bookworm-security',)
                ),
            ],
            apt.sources('bookworm', self.etc),
        )

    def test_another_release_of_the_same_mirror(self):
        (self.etc / 'sources.list').write_text(ONE_LINE)
        found = apt.sources('trixie', self.etc)
        self.assertEqual(
            [('trixie',), ('trixie-security',)],
            [source.suites for source in found],
        )

    def test_a_key_block_stays_whole(self):
        block = 'Types: deb\nURIs: http://m.example\nSuites: trixie\n'
        block += 'Components: main\nSigned-By:\n -----BEGIN\n .\n abc\n'
        (self.etc / 'sources.list.d' / 'a.sources').write_text(block)
        (source,) = apt.sources('trixie', self.etc)
        self.assertIn('\n -----BEGIN\n .\n abc\n', source.stanza())

    def test_no_debian_archive_at_all(self):
        found = self.assertRaises(
            exception.AptSourcesMissing, apt.sources, 'bookworm', self.etc
        )
        self.assertIn(str(self.etc), str(found))


class TestExplain(base.BaseTestCase):
    def explained(self, stderr):
        return apt.explain(
            exception.ProcessFailed(program='p', returncode=1, stderr=stderr),
            'it',
        )

    def test_a_network_that_is_down_is_worth_a_retry(self):
        error = self.explained('E: Failed to fetch http://m Could not resolve')
        self.assertIsInstance(error, exception.DownloadFailed)

    def test_a_missing_package_is_not(self):
        error = self.explained('E: Unable to locate package nosuch')
        self.assertIsInstance(error, exception.BuildFailed)

    def test_a_missing_tool_names_its_package(self):
        error = self.assertRaises(
            exception.ToolMissing, apt.require, 'no-such', 'pkg', 'a test'
        )
        self.assertIn('apt-get install pkg', str(error))


class TestPrivateApt(base.BaseTestCase):
    def test_it_knows_no_package_of_the_host(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        private = apt.PrivateApt(folder, 'trixie')
        error = self.assertRaises(
            exception.BuildFailed, private.download_whole, ['libc6']
        )
        self.assertIn('Debian packages libc6', str(error))

    def test_it_fetches_no_list_that_the_host_has_beside_packages(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        more = folder / 'apt.conf'
        more.write_text(
            'Acquire::IndexTargets::deb::Contents-deb::MetaKey '
            '"$(COMPONENT)/Contents-$(ARCHITECTURE)";\n'
        )
        self.useFixture(fixtures.EnvironmentVariable('APT_CONFIG', str(more)))
        other = set(apt.other_lists())
        prefix = 'Acquire::IndexTargets::deb'
        self.assertIn(f'{prefix}::Contents-deb::DefaultEnabled', other)
        self.assertNotIn(f'{prefix}::Packages::DefaultEnabled', other)
