# SPDX-License-Identifier: Apache-2.0
"""A real Keystone on loopback for functional tests: one process, SQLite.

With an administrator, and a catalogue that has Ironic in it. It is of the
environment that Tempest is in.
"""

import os
import secrets

import openstack

from tests.functional import wsgi_service

DOMAIN = 'Default'
REGION = 'test'
ADMIN = 'admin'
IRONIC = 'ironic'
OPTIONS = """\
[DEFAULT]
log_file = {root}/keystone.log

[credential]
key_repository = {root}/credential

[database]
connection = sqlite:///{root}/keystone.sqlite

[fernet_receipts]
key_repository = {root}/receipts

[fernet_tokens]
key_repository = {root}/fernet

[identity]
password_hash_rounds = 4

[oslo_concurrency]
lock_path = {root}/lock
"""


class Keystone(wsgi_service.Service):
    """One service: its folder, its process and a client for its API.

    :param environment: where Keystone is installed.
    :ivar passwords: by account, made for this one service.
    """

    def __init__(self, environment):
        super().__init__('keystone', environment)
        self.auth_url = f'{self.url}/v3'
        self.passwords = {
            name: secrets.token_hex(16) for name in (ADMIN, IRONIC)
        }

    def start(self, ironic_url):
        """Make keys, database and accounts; start it, and tell of Ironic.

        :param ironic_url: address that the catalogue has for Ironic.
        """
        for folder in ('fernet', 'credential', 'receipts', 'lock'):
            (self.root / folder).mkdir(mode=0o700)
        options = self.root / 'keystone.conf'
        options.write_text(OPTIONS.format(root=self.root))
        manage = ('keystone-manage', '--config-file', options)
        # Who is root has to say whose the keys are.
        owner = ('--keystone-user', str(os.getuid()))
        owner += ('--keystone-group', str(os.getgid()))
        self.manage(*manage, 'db_sync')
        for keys in ('fernet_setup', 'receipt_setup', 'credential_setup'):
            self.manage(*manage, keys, *owner)
        self.manage(
            *(*manage, 'bootstrap', '--bootstrap-region-id', REGION),
            *('--bootstrap-public-url', self.auth_url),
            *('--bootstrap-internal-url', self.auth_url),
            OS_BOOTSTRAP_PASSWORD=self.passwords[ADMIN],
        )
        self.serve(
            'keystone.wsgi.api',
            '/v3',
            OS_KEYSTONE_CONFIG_DIR=str(self.root),
        )
        self._tell_of_ironic(ironic_url)

    def connect(self, **scope):
        """Return a connection of the administrator.

        :param scope: of its token, by the names of clouds.yaml.
        """
        return openstack.connect(
            auth={
                'auth_url': self.auth_url,
                'password': self.passwords[ADMIN],
                'user_domain_name': DOMAIN,
                'username': ADMIN,
                **scope,
            },
            region_name=REGION,
            load_envvars=False,
            load_yaml_config=False,
        )

    def _tell_of_ironic(self, url):
        identity = self.connect(
            project_name=ADMIN, project_domain_name=DOMAIN
        ).identity
        roles = {role.name: role for role in identity.roles()}
        project = identity.create_project(name='service', domain_id='default')
        user = identity.create_user(
            name=IRONIC, password=self.passwords[IRONIC], domain_id='default'
        )
        for role in ('admin', 'service'):
            identity.assign_project_role_to_user(project, user, roles[role])
        service = identity.create_service(type='baremetal', name=IRONIC)
        identity.create_endpoint(
            service_id=service.id,
            interface='public',
            url=url,
            region_id=REGION,
        )

    def account_options(self):
        """Return what Ironic identifies itself with: options of a group."""
        return {
            'auth_type': 'password',
            'auth_url': self.auth_url,
            'password': self.passwords[IRONIC],
            'project_domain_name': DOMAIN,
            'project_name': 'service',
            'region_name': REGION,
            'user_domain_name': DOMAIN,
            'username': IRONIC,
        }
