# SPDX-License-Identifier: Apache-2.0
"""An API of the cloud under uWSGI.

Each has a folder below `<state>/cloud`, a user that all share, one database
of its name or more.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from zsbm_ironic.common import process
from zsbm_ironic.lab import daemon, ironic, layout, network
from zsbm_ironic.lab.cloud import environment, fabric, store

IDENTITY_PORT = 5000
READY_S = 120
MIGRATION_S = 900
REGION = 'lab'
DOMAIN = 'Default'
OWN = (layout.CLOUD_UID, layout.SHARED_GID)


@dataclasses.dataclass(frozen=True)
class Site:
    """What every service of one cloud knows.

    :ivar state: folder of the lab.
    :ivar programs: where the services are installed.
    :ivar passwords: by account.
    :ivar overlay: networks of members are tunnels, not VLANs.
    :ivar neutron_dhcp: Neutron's DHCP serves the ramdisk as well.
    """

    state: pathlib.Path
    programs: environment.Environment
    passwords: Mapping[str, str]
    overlay: bool = False
    neutron_dhcp: bool = False

    @property
    def vm_host(self) -> fabric.OpenVSwitch:
        """The host that has VMs."""
        return fabric.vm_host(self.state / 'cloud')

    def folder(self, service: str) -> pathlib.Path:
        """Return the folder of a service."""
        return self.state / 'cloud' / service

    def database(
        self, service: str, name: str = ''
    ) -> dict[str, str | list[str]]:
        """Return the options of [database].

        :param name: of the database; empty: that of the service.
        """
        password = self.passwords['database']
        return {
            'connection': store.database_url(
                service, name or service, password
            ),
            'max_pool_size': '5',
        }

    def account(self, service: str) -> dict[str, str | list[str]]:
        """Return what a service identifies itself with."""
        return {
            'auth_type': 'password',
            'auth_url': url(IDENTITY_PORT, '/v3'),
            'password': self.passwords[service],
            'project_domain_name': DOMAIN,
            'project_name': 'service',
            'region_name': REGION,
            'user_domain_name': DOMAIN,
            'username': service,
        }

    def system_account(self, service: str) -> dict[str, str | list[str]]:
        """Return the same for what concerns the whole cloud."""
        account = self.account(service)
        del account['project_domain_name'], account['project_name']
        return {**account, 'system_scope': 'all'}

    def checks_tokens(self, service: str) -> dict[str, str | list[str]]:
        """Return the options of [keystone_authtoken]."""
        return {
            **self.account(service),
            'memcached_servers': store.cache_address(),
            'service_token_roles': 'service',
            'service_token_roles_required': 'true',
            'www_authenticate_uri': url(IDENTITY_PORT, '/v3'),
        }

    def run(self, *words: str, service: str, stdin: str | None = None) -> str:
        """Run a program of a service as the service itself; its output."""
        return process.run(
            [*network.nsenter(), *identity().argv(), *words],
            timeout_s=MIGRATION_S,
            stdin=stdin,
            env=variables(self, service),
        ).stdout


def url(port: int, path: str = '') -> str:
    """Return the address of an API."""
    return f'http://{layout.CONTROLLER}:{port}{path}'


def identity() -> daemon.Identity:
    """Return the user that runs the services: no capability at all."""
    return daemon.Identity(*OWN)


def variables(site: Site, service: str) -> dict[str, str]:
    """Return the environment of a service's processes."""
    programs = site.programs.folder / 'bin'
    return {
        'HOME': str(site.folder(service)),
        'PATH': f'{programs}:/usr/sbin:/usr/bin:/sbin:/bin',
        'LANG': 'C.UTF-8',
        # Read and written by nobody else.
        'PYTHONDONTWRITEBYTECODE': '',
    }


def make_folder(site: Site, service: str, *names: str) -> pathlib.Path:
    """Make the folder of a service, with folders in it; idempotent."""
    root = site.folder(service)
    ironic.folder(root.parent, OWN, 0o750)
    for name in ('', *names):
        ironic.folder(root / name, OWN, 0o750)
    return root


def served(
    site: Site,
    service: str,
    module: str,
    port: int,
    *,
    more: Mapping[str, str] | None = None,
    name: str = '',
    options: Sequence[str] = (),
) -> daemon.Daemon:
    """Return the process of an API.

    :param module: has the WSGI application.
    :param more: variables that tell it where its options are.
    :param name: of the process; empty: that of the service.
    :param options: of uWSGI, beside those that all have.
    """
    words = [
        site.programs.program('uwsgi'),
        *('--http-socket', f'{layout.CONTROLLER}:{port}'),
        *('--module', f'{module}:application'),
        *('--home', str(site.programs.folder)),
        *('--processes', '1', '--threads', '4', '--enable-threads'),
        *('--buffer-size', '65535', '--lazy-apps', '--need-app'),
        *('--die-on-term', '--master', '--disable-logging'),
        # Without it, middleware that keeps connections finds them reset.
        *('--add-header', 'Connection: close'),
        *options,
    ]
    return daemon.Daemon(
        name or service,
        tuple(words),
        identity(),
        {**variables(site, service), **(more or {})},
        ready=lambda: network.listens(layout.CONTROLLER, port),
        ready_s=READY_S,
    )
