# SPDX-License-Identifier: Apache-2.0
"""Files of an image by the kernel: nothing of it leads out of it.

A folder stands for a mounted file system: paths are found alike in both.
"""

import os
import pathlib
import stat

import fixtures
import testtools

from zsbm_ironic.image import exception, mounted, tree


class MountedTreeTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        whole = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.outside = whole / 'outside'
        self.outside.mkdir()
        (self.outside / 'secret').write_text('of the host')
        self.root = whole / 'root'
        (self.root / 'etc').mkdir(parents=True)
        self.source = whole / 'source'
        self.source.write_text('new\n')
        top = os.open(self.root, os.O_PATH | os.O_DIRECTORY)
        self.addCleanup(os.close, top)
        self.writable = 0
        self.files = mounted.MountedTree('web', top, self.make_writable)

    def make_writable(self) -> None:
        self.writable += 1

    def assert_host_untouched(self) -> None:
        names = [path.name for path in self.outside.iterdir()]
        self.assertEqual(['secret'], names)
        text = (self.outside / 'secret').read_text()
        self.assertEqual('of the host', text)

    def test_a_link_to_a_file_of_the_host_is_not_read(self) -> None:
        for target in (
            f'{self.outside}/secret',
            '../' * 30 + f'{self.outside}/secret'.lstrip('/'),
            '/proc/self/root' + f'{self.outside}/secret',
        ):
            link = self.root / 'etc/fstab'
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            self.assertIsNone(self.files.entry('/etc/fstab'))
            self.assertRaises(
                FileNotFoundError,
                self.files.copy,
                '/etc/fstab',
                self.source.with_name('copy'),
            )

    def test_a_link_to_a_file_of_the_host_is_not_written(self) -> None:
        (self.root / 'etc/fstab').symlink_to(self.outside / 'secret')
        self.assertRaises(
            exception.NotEditable, self.files.write, '/etc/fstab', self.source
        )
        self.assert_host_untouched()

    def test_a_folder_that_is_a_link_out(self) -> None:
        (self.root / 'boot').symlink_to(self.outside)
        self.assertEqual([], self.files.names('/boot'))
        self.assertRaises(
            exception.NotEditable, self.files.write, '/boot/new', self.source
        )
        self.assert_host_untouched()

    def test_an_absolute_link_begins_at_the_root_of_the_image(self) -> None:
        (self.root / 'usr/lib').mkdir(parents=True)
        (self.root / 'lib').symlink_to('/usr/lib')
        self.files.write('/lib/zsbm/install', self.source)
        written = self.root / 'usr/lib/zsbm/install'
        self.assertEqual('new\n', written.read_text())
        self.assertEqual(0o644, stat.S_IMODE(written.stat().st_mode))

    def test_a_link_to_a_file_stays_a_link(self) -> None:
        (self.root / 'etc/real').write_text('old')
        (self.root / 'etc/fstab').symlink_to('real')
        self.files.write('/etc/fstab', self.source)
        self.assertTrue((self.root / 'etc/fstab').is_symlink())
        self.assertEqual('new\n', (self.root / 'etc/real').read_text())

    def test_a_pipe_does_not_make_us_wait(self) -> None:
        os.mkfifo(self.root / 'etc/fstab')
        entry = self.files.entry('/etc/fstab')
        assert entry is not None
        self.assertIs(tree.Kind.OTHER, entry.kind)
        error = self.assertRaises(
            exception.NotEditable, self.files.write, '/etc/fstab', self.source
        )
        self.assertIn('no file', str(error))
        self.assertEqual(['fstab'], os.listdir(self.root / 'etc'))

    def test_links_in_a_circle(self) -> None:
        (self.root / 'etc/fstab').symlink_to('fstab')
        self.assertIsNone(self.files.entry('/etc/fstab'))
        self.assertRaises(
            exception.NotEditable, self.files.write, '/etc/fstab', self.source
        )

    def test_mode_and_attributes_stay(self) -> None:
        path = self.root / 'etc/shadow'
        path.write_text('old')
        path.chmod(0o640)
        try:
            os.setxattr(path, 'user.zsbm', b'kept')
        except OSError:
            self.skipTest('no extended attributes in this temporary folder')
        self.files.write('/etc/shadow', self.source)
        self.assertEqual(0o640, stat.S_IMODE(path.stat().st_mode))
        self.assertEqual(b'kept', os.getxattr(path, 'user.zsbm'))

    def test_it_is_made_writable_once_and_not_for_reading(self) -> None:
        self.files.names('/etc')
        self.assertEqual(0, self.writable)
        self.files.write('/etc/a', self.source)
        self.files.write('/etc/b', self.source)
        self.assertEqual(1, self.writable)
