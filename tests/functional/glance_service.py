# SPDX-License-Identifier: Apache-2.0
"""A real Glance on loopback for functional tests: one process, SQLite.

Without authentication; images are files in a folder of its own.
"""

import pathlib
import sys

import openstack

from tests.functional import wsgi_service

OPTIONS = """\
[DEFAULT]
enabled_backends = files:file
log_file = {root}/glance.log
node_staging_uri = file://{root}/staging
state_path = {root}

[database]
connection = sqlite:///{root}/glance.sqlite

[files]
filesystem_store_datadir = {root}/images

[glance_store]
default_backend = files

[os_glance_staging_store]
filesystem_store_datadir = {root}/staging

[os_glance_tasks_store]
filesystem_store_datadir = {root}/tasks

[oslo_concurrency]
lock_path = {root}/lock

# Who is not authenticated has no role.
[oslo_policy]
enforce_new_defaults = false
enforce_scope = false
policy_file = {root}/policy.yaml

[paste_deploy]
config_file = {paste}
"""


class Glance(wsgi_service.Service):
    """One service: its folder, its process and a client for its API."""

    def __init__(self):
        super().__init__('glance')

    def start(self):
        """Make its database, start it and wait for its API."""
        for folder in ('images', 'staging', 'tasks', 'lock'):
            (self.root / folder).mkdir()
        paste = pathlib.Path(sys.prefix, 'etc/glance/glance-api-paste.ini')
        options = self.root / 'glance-api.conf'
        options.write_text(OPTIONS.format(root=self.root, paste=paste))
        (self.root / 'policy.yaml').write_text('publicize_image: ""\n')
        self.manage('glance-manage', '--config-file', options, 'db', 'sync')
        self.serve(
            'glance.wsgi.api',
            '/v2/images',
            OS_GLANCE_CONFIG_DIR=str(self.root),
            OS_GLANCE_CONFIG_FILES=options.name,
        )
        self.client = openstack.connect(
            auth_type='none',
            endpoint_override=self.url,
            image_endpoint_override=self.url,
            load_envvars=False,
            load_yaml_config=False,
        ).image
