# SPDX-License-Identifier: Apache-2.0
"""Tables of the services, migrated once for all labs of a host.

To migrate a fresh database through all releases of a service takes up to a
minute. The first lab keeps a dump of the result, the next one loads it. Only
what migrations write is in it: accounts, keys and passwords are each lab's
own.
"""

import pathlib
from collections.abc import Callable, Iterable

from zsbm_ironic.common import artifacts, progress
from zsbm_ironic.lab.cloud import api, store

KIND = 'cloud-tables'


def make(
    site: api.Site,
    cache: artifacts.Artifacts,
    service: str,
    databases: Iterable[str],
    make_tables: Callable[[], None],
) -> None:
    """Make the tables of a service; idempotent.

    :param databases: of the service, which are there and empty.
    :param make_tables: migrates them.
    """
    made = []

    def build(target: pathlib.Path, report: progress.Progress) -> None:
        with report.step(f'{service}: tables'):
            make_tables()
        made.append(service)
        for name in databases:
            (target / name).write_text(store.dump(site.state, name))

    found = cache.get(KIND, _key(site, service), build)
    if not made:
        with cache.report.step(f'{service}: tables, from the cache'):
            for name in databases:
                store.load(site.state, name, (found / name).read_text())


def _key(site: api.Site, service: str) -> str:
    return artifacts.digest(
        {
            'code': pathlib.Path(__file__).read_bytes(),
            'services': site.programs.folder.name,
            'service': service,
        }
    )
