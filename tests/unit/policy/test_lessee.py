# SPDX-License-Identifier: Apache-2.0
"""The policy sample for lessees, as ironic's rules and oslo.policy read it.

With a real Keystone it is `tests.e2e.cloud`.
"""

import pathlib

from ironic.common import policy as ironic_policy
from oslo_config import cfg
from oslo_policy import opts, policy
from oslotest import base

SAMPLE = pathlib.Path(__file__).parents[3] / 'etc/ironic/policy-lessee.yaml'
TARGET = {
    'node.owner': 'owner',
    'node.lessee': 'lessee',
    'config.service_project_name': 'service',
}
OPENED = (
    'baremetal:node:get:last_error',
    'baremetal:node:history:get',
)


def member(project, *roles):
    return {
        'project_id': project,
        'project_name': project,
        'roles': roles or ('member', 'reader'),
    }


SYSTEM = {'system_scope': 'all', 'roles': ('reader',)}


class PolicyTest(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.stock = self.enforcer(SAMPLE.with_name('not-there.yaml'))
        self.ours = self.enforcer(SAMPLE)

    def enforcer(self, path):
        conf = cfg.ConfigOpts()
        conf([])
        opts._register(conf)
        found = policy.Enforcer(conf, policy_file=str(path))
        found.suppress_deprecation_warnings = True
        found.register_defaults(ironic_policy.list_policies())
        return found

    def allows(self, enforcer, rule, who):
        return bool(enforcer.authorize(rule, TARGET, who, do_raise=False))

    def test_lessee_reads_what_upstream_hides(self):
        for rule in OPENED:
            who = member('lessee')
            self.assertFalse(self.allows(self.stock, rule, who), rule)
            self.assertTrue(self.allows(self.ours, rule, who), rule)

    def test_who_could_read_still_can(self):
        for rule in OPENED:
            for who in (
                member('owner'),
                member('service', 'service'),
                SYSTEM,
            ):
                self.assertTrue(self.allows(self.stock, rule, who), rule)
                self.assertTrue(self.allows(self.ours, rule, who), rule)

    def test_strangers_read_nothing(self):
        for rule in OPENED:
            for who in (member('other'), member('lessee', 'auditor')):
                self.assertFalse(self.allows(self.ours, rule, who), rule)

    def test_the_bmc_stays_hidden(self):
        for rule in (
            'baremetal:node:get:driver_info',
            'baremetal:node:get:driver_internal_info',
            'baremetal:node:inventory:get',
        ):
            self.assertFalse(self.allows(self.ours, rule, member('lessee')))
