# SPDX-License-Identifier: Apache-2.0
"""A real Glance on loopback for functional tests: one process, SQLite.

Without authentication; images are files in a folder of its own.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import openstack
import requests

from tests import bmcs

STARTING_S = 60
POLL_S = 0.2
BIN = pathlib.Path(sys.executable).parent
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


class Glance:
    """One service: its folder, its process and a client for its API."""

    def __init__(self):
        self._root = pathlib.Path(tempfile.mkdtemp(prefix='zsbm-glance-'))
        self._port = bmcs.free_port()
        self.url = f'http://{bmcs.ADDRESS}:{self._port}'

    def start(self):
        """Make its database, start it and wait for its API."""
        for folder in ('images', 'staging', 'tasks', 'lock'):
            (self._root / folder).mkdir()
        paste = pathlib.Path(sys.prefix, 'etc/glance/glance-api-paste.ini')
        options = self._root / 'glance-api.conf'
        options.write_text(OPTIONS.format(root=self._root, paste=paste))
        (self._root / 'policy.yaml').write_text('publicize_image: ""\n')
        subprocess.run(
            [BIN / 'glance-manage', '--config-file', options, 'db', 'sync'],
            capture_output=True,
            timeout=STARTING_S,
            check=True,
        )
        with (self._root / 'out').open('wb') as out:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'cheroot']
                + ['glance.wsgi.api:application']
                + ['--bind', f'{bmcs.ADDRESS}:{self._port}'],
                stdout=out,
                stderr=out,
                env={
                    **os.environ,
                    'OS_GLANCE_CONFIG_DIR': str(self._root),
                    'OS_GLANCE_CONFIG_FILES': options.name,
                },
                start_new_session=True,
            )
        self._wait()
        self.client = openstack.connect(
            auth_type='none',
            endpoint_override=self.url,
            image_endpoint_override=self.url,
            load_envvars=False,
            load_yaml_config=False,
        ).image

    def _wait(self):
        deadline = time.monotonic() + STARTING_S
        while self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f'{self.url}/v2/images', timeout=5).ok:
                    return
            time.sleep(POLL_S)
        log = (self._root / 'out').read_text(errors='replace')
        raise TimeoutError(f'glance did not start:\n{log[-3000:]}')

    def remove(self):
        """End it and delete its folder."""
        with contextlib.suppress(AttributeError, ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
        shutil.rmtree(self._root, ignore_errors=True)
