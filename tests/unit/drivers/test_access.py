# SPDX-License-Identifier: Apache-2.0
"""Which keys we fill in, whose they are, and what follows a change."""

import dataclasses
from typing import Any

import fixtures
from oslotest import base

from zsbm_ironic import conf
from zsbm_ironic.bmc import base as bmc_base
from zsbm_ironic.common import exception
from zsbm_ironic.drivers import access

BMC = {
    'bmc_address': '192.0.2.11',
    'bmc_username': 'admin',
    'bmc_password': 'secret',
}
PIN = '5e' * 32


@dataclasses.dataclass
class Node:
    """The fields of a node that matter here."""

    driver_info: dict[str, Any]
    driver_internal_info: dict[str, Any] = dataclasses.field(
        default_factory=dict
    )
    provision_state: str = 'available'

    def set_driver_internal_info(self, key, value):
        self.driver_internal_info[key] = value


@dataclasses.dataclass
class Task:
    """A task's node, and what access notes on the task."""

    node: Node
    zsbm_failed: exception.ZsbmError | None = None


class TestAccess(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.pins = self.useFixture(fixtures.TempDir()).path
        conf.CONF.set_override('certificate_dir', self.pins, 'zsbm_bmc')
        self.addCleanup(
            conf.CONF.clear_override, 'certificate_dir', 'zsbm_bmc'
        )

    def node(self, protocol, facts=(), **info):
        node = Node({**BMC, **info})
        access.remember(node, protocol=protocol, **dict(facts))
        return node

    def filled(self, node):
        return {
            key: value
            for key, value in node.driver_info.items()
            if not key.startswith('bmc_')
        }

    def test_ipmi_keys(self):
        node = self.node('ipmi', {'cipher_suite': 3}, bmc_port=6230)
        self.assertTrue(access.fill(node, adopt=True))
        self.assertEqual(
            {
                'ipmi_address': '192.0.2.11',
                'ipmi_username': 'admin',
                'ipmi_password': 'secret',
                'ipmi_port': 6230,
                'ipmi_cipher_suite': 3,
            },
            self.filled(node),
        )
        self.assertFalse(access.fill(node, adopt=True))

    def test_redfish_keys(self):
        node = self.node(
            'redfish',
            {'system_id': '/redfish/v1/Systems/1', 'console': True},
            bmc_address='2001:db8::1',
            bmc_port=8443,
            bmc_cert_fingerprint=f'sha256:{PIN}',
        )
        access.fill(node, adopt=True)
        self.assertEqual(
            {
                'redfish_address': 'https://[2001:db8::1]:8443',
                'redfish_username': 'admin',
                'redfish_password': 'secret',
                'redfish_system_id': '/redfish/v1/Systems/1',
                'redfish_verify_ca': f'{self.pins}/{PIN}.pem',
                'ipmi_address': '2001:db8::1',
                'ipmi_username': 'admin',
                'ipmi_password': 'secret',
            },
            self.filled(node),
        )

    def test_passwords_are_not_kept_in_what_we_remember(self):
        node = self.node('ipmi')
        access.fill(node, adopt=True)
        self.assertNotIn('secret', str(node.driver_internal_info))

    def test_what_we_filled_follows(self):
        node = self.node('ipmi')
        access.fill(node, adopt=True)
        node.driver_info.update(bmc_password='new', bmc_address='192.0.2.12')
        self.assertTrue(access.fill(node, adopt=False))
        self.assertEqual('new', node.driver_info['ipmi_password'])
        self.assertEqual('192.0.2.12', node.driver_info['ipmi_address'])

    def test_what_an_operator_wrote_stays(self):
        node = self.node('ipmi', ipmi_username='other')
        access.fill(node, adopt=True)
        self.assertEqual('other', node.driver_info['ipmi_username'])
        node.driver_info['ipmi_password'] = 'theirs'
        node.driver_info['ipmi_address'] = 'theirs.example'
        node.driver_info['bmc_password'] = 'new'
        node.driver_info['bmc_username'] = 'new'
        for adopt in (False, True):
            access.fill(node, adopt=adopt)
            self.assertEqual('other', node.driver_info['ipmi_username'])
            self.assertEqual('theirs', node.driver_info['ipmi_password'])
            self.assertEqual(
                'theirs.example', node.driver_info['ipmi_address']
            )

    def test_what_is_not_needed_any_more_goes(self):
        node = self.node('ipmi', bmc_port=6230)
        access.fill(node, adopt=True)
        del node.driver_info['bmc_port']
        access.fill(node, adopt=False)
        self.assertNotIn('ipmi_port', node.driver_info)

    def test_an_old_pin_makes_way_for_a_ca(self):
        node = self.node('redfish', bmc_cert_fingerprint=f'sha256:{PIN}')
        access.fill(node, adopt=True)
        del node.driver_info['bmc_cert_fingerprint']
        node.driver_info['bmc_verify_ca'] = __file__
        access.fill(node, adopt=False)
        self.assertEqual(__file__, node.driver_info['redfish_verify_ca'])

    def test_a_node_of_upstreams_type_is_left_alone(self):
        node = Node({'ipmi_address': '192.0.2.1'})
        self.assertFalse(access.fill(node, adopt=True))
        self.assertEqual({'ipmi_address': '192.0.2.1'}, node.driver_info)

    def test_protocol(self):
        Ipmi, Redfish = (
            bmc_base.BmcProtocol.IPMI,
            bmc_base.BmcProtocol.REDFISH,
        )
        for info, stored, expected in (
            ({**BMC}, 'ipmi', Ipmi),
            # Only the operator's word changes what was detected.
            ({**BMC, 'bmc_protocol': 'redfish'}, 'ipmi', Redfish),
            ({**BMC, 'bmc_protocol': 'auto'}, 'ipmi', Ipmi),
            # Nothing detected: the keys that a former type left.
            ({**BMC, 'ipmi_address': 'x'}, None, Ipmi),
            (
                {**BMC, 'ipmi_address': 'x', 'redfish_address': 'x'},
                None,
                Redfish,
            ),
            # What was detected in a former life as ours does not count.
            ({'ipmi_address': 'x'}, 'redfish', Ipmi),
        ):
            node = Node(info)
            if stored:
                access.remember(node, protocol=stored)
            self.assertIs(expected, access.decided(node).protocol)
        found = self.assertRaises(
            exception.BmcSettingMissing, access.decided, Node({**BMC})
        )
        self.assertIn('node manage', str(found))

    def test_a_pinned_node_that_came_back_from_type_redfish(self):
        node = Node(
            {
                'redfish_address': 'https://192.0.2.11',
                'redfish_verify_ca': f'{self.pins}/{PIN}.pem',
            }
        )
        with open(f'{self.pins}/{PIN}.pem', 'w'):
            pass
        self.assertEqual(PIN, access.decided(node).trust.fingerprint)

    def test_what_failed_in_a_manage_is_not_tried_again(self):
        refused = exception.BmcCredentialsRefused(
            address='192.0.2.11',
            username='admin',
            answer='HTTP 401',
            keys='bmc_username and bmc_password',
        )
        # Some BMCs answer HTTP 500 to a wrong password.
        failed = exception.BmcCommandFailed(
            address='192.0.2.11', what='log in', answer='HTTP 500'
        )
        lacking = exception.BmcUnsupported(
            address='192.0.2.11', what='MACs', answer='0xC1'
        )
        for error, state, tries in (
            (refused, 'verifying', 1),
            (failed, 'verifying', 1),
            (lacking, 'verifying', 2),
            (refused, 'available', 2),
        ):
            task = Task(Node({}, provision_state=state))
            tried = []

            def ask(task=task, error=error, tried=tried):
                with access.failing_once(task):
                    tried.append(error)
                    raise error

            for _ in range(2):
                self.assertIs(error, self.assertRaises(type(error), ask))
            self.assertEqual(tries, len(tried), (error, state))
