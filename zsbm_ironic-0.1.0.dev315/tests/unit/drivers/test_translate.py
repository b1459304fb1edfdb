# SPDX-License-Identifier: Apache-2.0
"""Errors of a full disk, whoever reports them, name node and remedy."""

import errno
import types

import testtools
from ironic.common import exception as ironic_exception

from zsbm_ironic.drivers import translate

NODE = types.SimpleNamespace(name='web-3', uuid='some-uuid')


class NoRoomTest(testtools.TestCase):
    def told(self, raiser):
        try:
            raiser()
        except Exception as exc:
            return translate.no_room(NODE, exc)
        self.fail('nothing was raised')

    def test_what_ironic_finds_before_it_fetches(self):
        def fetch():
            try:
                raise ironic_exception.InsufficientDiskSpace(
                    path='/images', required=900, actual=12
                )
            except ironic_exception.InsufficientDiskSpace as exc:
                raise ironic_exception.InstanceDeployFailure(
                    reason=exc
                ) from exc

        text = str(self.told(fetch))
        for part in ('Node web-3', "'/images'", 'only 12 MiB', 'Make room'):
            self.assertIn(part, text)

    def test_what_the_kernel_says_in_the_middle_of_a_copy(self):
        full = OSError(errno.ENOSPC, 'No space left on device')

        def copy():
            raise ironic_exception.ImageDownloadFailed(
                image_href='file:///x', reason=full
            )

        self.assertIn('No space left on device', str(self.told(copy)))

    def test_another_error_is_left_alone(self):
        def refuse():
            raise PermissionError(errno.EACCES, 'Permission denied')

        self.assertIsNone(self.told(refuse))
