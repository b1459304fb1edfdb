# SPDX-License-Identifier: Apache-2.0
"""Servers and VMs in a browser: Horizon, with ironic-ui.

Its settings are a Python module that is found before the one that it ships;
what a browser loads is copied once, so that nothing is written where the
services are installed.
"""

import pathlib
import secrets

from zsbm_ironic.common import whole_file
from zsbm_ironic.lab import daemon, layout
from zsbm_ironic.lab.cloud import api, store

NAME = 'horizon'
PORT = 8081
STATIC = '/static'
SECRET_BYTES = 48
# ironic-ui says in a package of its own which panel there is more.
_SETTINGS = """\
import ironic_ui.enabled
from openstack_dashboard.local import enabled

enabled.__path__.extend(ironic_ui.enabled.__path__)
ALLOWED_HOSTS = [{host!r}]
CACHES = {{
    'default': {{
        'BACKEND': 'django.core.cache.backends.memcached.PyMemcacheCache',
        'LOCATION': {cache!r},
    }}
}}
COMPRESS_OFFLINE = False
LOCAL_PATH = {root!r}
OPENSTACK_KEYSTONE_URL = {identity!r}
SECRET_KEY = {secret!r}
SESSION_ENGINE = 'django.contrib.sessions.backends.cache'
STATIC_ROOT = {static!r}
# All servers are seen by who is not of a project.
SYSTEM_SCOPE_SERVICES = ['baremetal']
WEBROOT = '/'
"""


def url() -> str:
    """Return where a browser finds it."""
    return api.url(PORT)


def prepare(site: api.Site) -> None:
    """Write its settings, for its user alone; idempotent."""
    root = api.make_folder(site, NAME, 'local', 'static')
    secret = root / 'secret'
    if not secret.exists():
        whole_file.write(
            secret,
            secrets.token_urlsafe(SECRET_BYTES),
            mode=0o600,
            own=api.OWN,
        )
    for name, text in (
        ('__init__.py', ''),
        (
            'local_settings.py',
            _SETTINGS.format(
                cache=store.cache_address(),
                host=layout.CONTROLLER,
                identity=api.url(api.IDENTITY_PORT, '/v3'),
                root=str(root / 'local'),
                secret=secret.read_text(),
                static=str(root / 'static'),
            ),
        ),
    ):
        whole_file.write(root / 'local' / name, text, mode=0o640, own=api.OWN)


def collect(site: api.Site) -> None:
    """Copy what a browser loads; once."""
    done = site.folder(NAME) / 'static-collected'
    if done.exists():
        return
    site.run(
        site.programs.program('django-admin'),
        *('collectstatic', '--no-input', '--verbosity', '0'),
        *('--settings', 'openstack_dashboard.settings'),
        *('--pythonpath', str(site.folder(NAME))),
        service=NAME,
    )
    done.touch()


def daemons(site: api.Site) -> list[daemon.Daemon]:
    """Return its process."""
    root: pathlib.Path = site.folder(NAME)
    return [
        api.served(
            site,
            NAME,
            'openstack_dashboard.wsgi',
            PORT,
            more={'PYTHONPATH': str(root)},
            options=('--static-map', f'{STATIC}={root}/static'),
        )
    ]
