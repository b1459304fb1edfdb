# SPDX-License-Identifier: Apache-2.0
"""Debian packages from this host's mirror, without touching its apt.

Called by what builds or unpacks Debian things: boot loaders, deploy ramdisk,
test OS image. Reads where the host gets Debian from (/etc/apt), so that a
private mirror is used where there is one, and asks there for any release,
verified by the archive keys. Lists and downloads live in a folder of the
caller; the host's own sources, lists and package database stay as they are.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
from collections.abc import Iterator, Sequence

from zsbm_ironic.common import exception, process

KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'
# Suites that say which release a source is of; backports and the like are
# left out, so that everybody builds from the same packages.
_SUITE = re.compile(
    r'(bullseye|bookworm|trixie|forky|stable|oldstable)'
    r'(-updates|-security)?'
)
_LIST = re.compile(r'^Acquire::IndexTargets::([^:\s]+)::([^:\s]+)::', re.M)
_LISTS = ('Packages', 'Sources', 'Translations')
_UPDATE_TIMEOUT_S = 300
_DOWNLOAD_TIMEOUT_S = 600
_NETWORK_SIGNS = re.compile(
    r'Failed to fetch|Could not (resolve|connect)|Temporary failure|'
    r'Connection (timed out|refused|failed)|Network is unreachable|'
    r'dns error|connection error|Max retries exceeded',
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class Source:
    """One place that packages come from, as one deb822 stanza.

    :ivar uris: addresses of the archive, as the host has them.
    :ivar suites: for example bookworm, bookworm-updates.
    :ivar signed_by: path of a keyring, or a key block.
    """

    uris: str
    suites: tuple[str, ...]
    signed_by: str = KEYRING

    def stanza(self) -> str:
        """Return the deb822 text; component main alone."""
        return (
            f'Types: deb\nURIs: {self.uris}\n'
            f'Suites: {" ".join(self.suites)}\nComponents: main\n'
            f'Signed-By: {self.signed_by}\n'
        )


def sources(
    release: str, etc: pathlib.Path = pathlib.Path('/etc/apt')
) -> list[Source]:
    """Return the host's Debian sources, asked for another release.

    :param release: codename, for example bookworm.
    :raises AptSourcesMissing: /etc/apt names no Debian archive.
    """
    found: list[Source] = []
    for path in (etc / 'sources.list', *sorted(etc.glob('sources.list.d/*'))):
        if not path.is_file():
            continue
        if path.suffix == '.sources':
            found += _deb822(path.read_text(), release)
        elif path.suffix == '.list':
            found += _one_line(path.read_text(), release)
    unique = list(dict.fromkeys(found))
    if not unique:
        raise exception.AptSourcesMissing(folder=etc)
    return unique


def _translated(suites: list[str], release: str) -> tuple[str, ...]:
    matches = (_SUITE.fullmatch(suite) for suite in suites)
    return tuple(
        dict.fromkeys(
            f'{release}{match.group(2) or ""}' for match in matches if match
        )
    )


def _deb822(text: str, release: str) -> list[Source]:
    found = []
    for block in re.split(r'\n\s*\n', text):
        fields: dict[str, str] = {}
        name = ''
        for line in block.splitlines():
            if line.startswith('#'):
                continue
            if line[:1].isspace() and name:
                fields[name] += f'\n{line}'
            elif ':' in line:
                name, _, value = line.partition(':')
                name = name.strip().lower()
                fields[name] = value.strip()
        suites = _translated(fields.get('suites', '').split(), release)
        if (
            suites
            and 'deb' in fields.get('types', '').split()
            and 'main' in fields.get('components', '').split()
            and fields.get('enabled', 'yes').lower() not in ('no', 'false')
        ):
            found.append(
                Source(
                    fields.get('uris', ''),
                    suites,
                    fields.get('signed-by', KEYRING),
                )
            )
    return found


def _one_line(text: str, release: str) -> list[Source]:
    found = []
    pattern = re.compile(r'deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)')
    for line in text.splitlines():
        match = pattern.match(line.strip())
        if not match or 'main' not in match.group(4).split():
            continue
        suites = _translated([match.group(3)], release)
        if suites:
            options = dict(
                word.partition('=')[::2]
                for word in (match.group(1) or '').split()
            )
            found.append(
                Source(
                    match.group(2), suites, options.get('signed-by', KEYRING)
                )
            )
    return found


def host_options() -> list[str]:
    """Return the host's `Acquire` options that fetching depends on.

    Proxies, and whether an archive may be older than its Valid-Until date
    (frozen mirrors): tools that keep apt's configuration apart need them
    handed over.

    :returns: lines like `Acquire::Check-Valid-Until "false";`.
    """
    dump = process.run(['apt-config', 'dump', 'Acquire'], timeout_s=30).stdout
    wanted = re.compile(
        r'Acquire::(Check-Valid-Until|Check-Date|Retries|https?::(Proxy|'
        r'CAInfo|Verify-Peer|Timeout))\S* "[^"]+";'
    )
    return [line for line in dump.splitlines() if wanted.match(line)]


def require(tool: str, package: str, purpose: str) -> None:
    """Make sure that a program is there before minutes are spent.

    :raises ToolMissing: names the Debian package that has it.
    """
    path = f'{os.environ.get("PATH", "")}:/usr/sbin:/sbin'
    if not shutil.which(tool, path=path):
        raise exception.ToolMissing(
            tool=tool, package=package, purpose=purpose
        )


def explain(exc: exception.ProcessFailed, what: str) -> exception.ZsbmError:
    """Turn a failed builder or fetcher into the error that a person needs.

    :returns: DownloadFailed where the network is to blame, else BuildFailed.
    """
    text = str(exc.fields['stderr'])
    kind = (
        exception.DownloadFailed
        if _NETWORK_SIGNS.search(text)
        else exception.BuildFailed
    )
    return kind(what=what, why=text or exc.fields['program'])


def other_lists() -> Iterator[str]:
    """Give settings of what this host fetches beside lists of packages.

    Apt-file and appstream for example have some hundred MB of their own.
    """
    told = process.run(
        ['apt-config', 'dump', 'Acquire::IndexTargets'], timeout_s=30
    )
    for kind, name in sorted(set(_LIST.findall(told.stdout))):
        if name not in _LISTS:
            yield f'Acquire::IndexTargets::{kind}::{name}::DefaultEnabled'


@dataclasses.dataclass(frozen=True)
class Downloaded:
    """One .deb on this disk, whose index was verified by the archive keys."""

    path: pathlib.Path
    name: str
    version: str
    sha256: str


class PrivateApt:
    """An apt of its own in a folder: sources, lists, package database.

    :param folder: emptied and filled; goes away with its caller.
    :param release: Debian codename to ask the host's mirror for.
    :param architecture: Debian's name of it, for example amd64.
    :param extra: further sources.
    """

    def __init__(
        self, folder: pathlib.Path, release: str, architecture: str = 'amd64'
    ) -> None:
        self.folder = folder
        require('apt-get', 'apt', 'fetching Debian packages')
        for name in (
            'etc/preferences.d',
            'lists/partial',
            'cache/archives/partial',
            'debs',
        ):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / 'status').touch()
        (folder / 'etc' / 'private.sources').write_text(
            '\n'.join(source.stanza() for source in sources(release))
        )
        settings = {
            'Dir::Etc::SourceParts': folder / 'etc',
            'Dir::Etc::SourceList': '/dev/null',
            'Dir::Etc::PreferencesParts': folder / 'etc' / 'preferences.d',
            'Dir::State::Lists': folder / 'lists',
            'Dir::State::status': folder / 'status',
            'Dir::Cache': folder / 'cache',
            'APT::Architecture': architecture,
            'APT::Architectures': architecture,
            # A folder of root's is closed to the user _apt.
            'APT::Sandbox::User': 'root',
            'Acquire::Languages': 'none',
            # Hooks of the host, for example of appstream, are not for us.
            'APT::Update::Post-Invoke-Success': '',
            'APT::Update::Post-Invoke': '',
        }
        settings |= dict.fromkeys(other_lists(), 'false')
        self._options = [f'-o{name}={word}' for name, word in settings.items()]

    def update(self) -> None:
        """Fetch and verify the lists.

        :raises DownloadFailed: the mirror cannot be reached, or what it sent
            is not signed by the archive.
        """
        try:
            process.run(
                [
                    'apt-get',
                    *self._options,
                    '-q',
                    '-oAPT::Update::Error-Mode=any',
                    'update',
                ],
                timeout_s=_UPDATE_TIMEOUT_S,
            )
        except exception.ProcessFailed as exc:
            raise exception.DownloadFailed(
                what='Debian package lists', why=exc.fields['stderr']
            ) from exc

    def download(self, package: str, version: str = '') -> Downloaded:
        """Fetch one package; apt checks it against the signed index.

        :param version: this one, or the newest where it is empty.
        :raises BuildFailed: there is no such package or version.
        :raises DownloadFailed: it cannot be fetched.
        """
        wanted = f'{package}={version}' if version else package
        target = self.folder / 'debs' / package
        target.mkdir(exist_ok=True)
        try:
            process.run(
                ['apt-get', *self._options, '-q', 'download', wanted],
                timeout_s=_DOWNLOAD_TIMEOUT_S,
                cwd=target,
            )
        except exception.ProcessFailed as exc:
            raise explain(exc, f'Debian package {wanted}') from exc
        return _downloaded(next(target.glob('*.deb')))

    def download_whole(self, packages: Sequence[str]) -> list[Downloaded]:
        """Fetch the newest of packages with everything that they depend on.

        This apt knows of no installed package, so nothing is left out because
        the host has it.

        :raises BuildFailed: there is no such package.
        :raises DownloadFailed: one of them cannot be fetched.
        """
        try:
            process.run(
                [
                    *('apt-get', *self._options, '-q', '--yes'),
                    *('--no-install-recommends', '--download-only'),
                    *('install', *packages),
                ],
                timeout_s=_DOWNLOAD_TIMEOUT_S,
            )
        except exception.ProcessFailed as exc:
            what = f'Debian packages {" ".join(packages)}'
            raise explain(exc, what) from exc
        archives = self.folder / 'cache' / 'archives'
        return [_downloaded(path) for path in sorted(archives.glob('*.deb'))]


def _downloaded(path: pathlib.Path) -> Downloaded:
    control = process.run(
        ['dpkg-deb', '--show', '--showformat=${Package} ${Version}', path],
        timeout_s=30,
    )
    name, version = control.stdout.split()
    return Downloaded(
        path=path,
        name=name,
        version=version,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
