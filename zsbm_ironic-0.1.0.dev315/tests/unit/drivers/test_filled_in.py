# SPDX-License-Identifier: Apache-2.0
"""What Ironic filled in goes, what the operator wrote stays."""

import json

from oslotest import base

from zsbm_ironic.drivers import filled_in

GIVEN = {
    'image_source': 'file:///images/first.qcow2',
    'image_checksum': 'a' * 64,
    'image_type': 'whole-disk',
    'capabilities': {'secure_boot': 'true'},
}
# As upstream leaves it when the conductor converted the image.
PREPARED = {
    **GIVEN,
    'image_checksum': None,
    'image_disk_format': 'raw',
    'image_os_hash_algo': 'sha256',
    'image_os_hash_value': 'b' * 64,
    'image_url': 'http://198.51.100.1/agent_images/uuid',
    'configdrive': 'H4sI',
}
OTHER = {'image_source': 'file:///images/other.qcow2'}


class FilledIn(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # Through the database it is JSON.
        info = filled_in.remember(GIVEN, PREPARED)
        self.info = json.loads(json.dumps(info))

    def image(self, **told):
        """Return what is left of an image after the operator told more."""
        left = filled_in.without({**self.info, **told})
        self.assertNotIn(filled_in.RECORD, left)
        self.assertEqual('H4sI', left['configdrive'])
        self.assertEqual(GIVEN['capabilities'], left['capabilities'])
        return {
            key: value
            for key, value in left.items()
            if key.startswith('image_') and key != 'image_url'
        }

    def test_another_image(self):
        self.assertEqual(
            {**OTHER, 'image_type': 'whole-disk'}, self.image(**OTHER)
        )

    def test_another_image_with_its_checksum(self):
        told = {**OTHER, 'image_checksum': 'c' * 64}
        self.assertEqual(
            {**told, 'image_type': 'whole-disk'}, self.image(**told)
        )

    def test_another_image_with_digest_and_format(self):
        # The algorithm is the one that was filled in, and said again.
        told = {
            **OTHER,
            'image_disk_format': 'qcow2',
            'image_os_hash_algo': 'sha256',
            'image_os_hash_value': 'c' * 64,
        }
        self.assertEqual(
            {**told, 'image_type': 'whole-disk'}, self.image(**told)
        )

    def test_the_same_image_is_what_the_operator_said_it_is(self):
        self.assertEqual(
            {key: GIVEN[key] for key in GIVEN if key.startswith('image_')},
            self.image(),
        )

    def test_the_same_image_with_new_content(self):
        told = {'image_checksum': 'c' * 64}
        self.assertEqual('c' * 64, self.image(**told)['image_checksum'])
        self.assertNotIn('image_os_hash_value', self.image(**told))

    def test_an_image_that_was_redirected_is_the_same(self):
        given = {**GIVEN, 'image_source': 'https://images.example.org/d'}
        led = {**PREPARED, 'image_source': 'https://mirror.example.org/d'}
        left = filled_in.without(filled_in.remember(given, led))
        self.assertEqual(GIVEN['image_checksum'], left['image_checksum'])

    def test_a_token_of_a_registry_is_kept_from_another_server(self):
        key = 'image_request_authorization_secret'
        info = filled_in.remember(GIVEN, {**PREPARED, key: 'token'})
        self.assertNotIn('token', json.dumps(info[filled_in.RECORD]))
        self.assertNotIn(key, filled_in.without({**info, **OTHER}))

    def test_where_nothing_was_filled_in_nothing_is_kept(self):
        after = {**GIVEN, 'image_url': GIVEN['image_source']}
        self.assertEqual(after, filled_in.remember(GIVEN, after))
        self.assertEqual(after, filled_in.without(after))
