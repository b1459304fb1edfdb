# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status upgrade check`: may the services be started on this version.

Run after the new package is installed and before a service is restarted,
beside `ironic-status upgrade check`. Reads configuration and metadata only.
"""

import configparser
import importlib.metadata
import pathlib
import platform
from collections.abc import Sequence
from typing import Any

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from zsbm_ironic.conf import opts
from zsbm_ironic.status import checks_conductor, findings, releases

PREFIX = 'zsbm'


class Checks(upgradecheck.UpgradeCommands):
    """The checks, in the shape that oslo.upgradecheck wants."""

    def __init__(self, conf: cfg.ConfigOpts, files: Sequence[str]) -> None:
        super().__init__()
        self._conf = conf
        self._files = files

    def _releases(self) -> Any:
        """Ironic and Python are ones that this version was made for."""
        wrong = []
        for component, version in (
            (releases.IRONIC, importlib.metadata.version('ironic')),
            (releases.PYTHON, platform.python_version()),
        ):
            if not component.includes(version):
                wrong.append(
                    f'{component.name} is {version}; supported is '
                    f'{component.span}.'
                )
        if wrong:
            return _result('WARNING', ' '.join(wrong))
        return _result('SUCCESS')

    def _enabled(self) -> Any:
        """Everything that is enabled exists in this version."""
        wrong = [
            f'{finding.name}: {finding.what}.'
            for check in (
                checks_conductor.hardware_type,
                checks_conductor.interfaces,
            )
            for finding in check(self._conf)
            if finding.level is findings.Level.FAIL
        ]
        if wrong:
            return _result('FAILURE', ' '.join(wrong))
        return _result('SUCCESS')

    def _options(self) -> Any:
        """No option in our groups that this version does not know."""
        unknown = sorted(unknown_options(self._files))
        if unknown:
            return _result(
                'WARNING',
                f'Not read by this version: {", ".join(unknown)}. See the '
                'release notes for what replaces them.',
            )
        return _result('SUCCESS')

    _upgrade_checks = (
        ('Supported releases', _releases),
        ('Enabled types and interfaces', _enabled),
        ('Options', _options),
    )


def unknown_options(files: Sequence[str]) -> set[str]:
    """Return [group]option of ours in the files that nothing reads."""
    known = {
        group: {option.dest for option in options}
        for group, options in opts.list_opts()
    }
    unknown = set()
    for file in files:
        parser = configparser.RawConfigParser(
            strict=False, allow_no_value=True
        )
        parser.read_string('[DEFAULT]\n' + pathlib.Path(file).read_text())
        for group in parser.sections():
            if not group.startswith(PREFIX):
                continue
            own = set(parser[group]) - set(parser.defaults())
            for name in own:
                if name.replace('-', '_') not in known.get(group, set()):
                    unknown.add(f'[{group}]{name}')
    return unknown


def _result(code: str, details: str | None = None) -> Any:
    return upgradecheck.Result(getattr(upgradecheck.Code, code), details)
