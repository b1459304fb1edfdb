# SPDX-License-Identifier: Apache-2.0
"""The rules of the house, run by flake8 as `tools/test pep8` runs them."""

import pathlib
import sys

import fixtures
import testtools

from tests.hacking import checks
from zsbm_ironic.common import process

TOP = pathlib.Path(__file__).resolve().parents[3]


class HouseRulesTest(testtools.TestCase):
    def _codes(self, path: str, *lines: str) -> list[str]:
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        file = folder / path
        file.parent.mkdir(parents=True)
        file.write_text('\n'.join(lines) + '\n')
        done = process.run(
            [
                *(sys.executable, '-m', 'flake8', '--config', TOP / 'tox.ini'),
                *('--no-show-source', '--select', 'N', '--format', '%(code)s'),
                file,
            ],
            timeout_s=60,
            cwd=TOP,
            check=False,
        )
        self.assertEqual('', done.stderr)
        return done.stdout.split()

    def test_domain_room_importing_ironic_is_refused(self) -> None:
        for statement in (
            'import ironic.common.states',
            'from ironic.common import states',
            'from ironic import version',
        ):
            self.assertEqual(
                ['N301'],
                self._codes('zsbm_ironic/bmc/ipmi.py', checks.SPDX, statement),
            )

    def test_domain_room_importing_the_agent_is_refused(self) -> None:
        self.assertEqual(
            ['N301'],
            self._codes(
                'zsbm_ironic/netboot/x.py',
                checks.SPDX,
                'import ironic_python_agent',
            ),
        )

    def test_driver_may_import_ironic(self) -> None:
        self.assertEqual(
            [],
            self._codes(
                'zsbm_ironic/drivers/power.py',
                checks.SPDX,
                'from ironic.drivers import base',
            ),
        )

    def test_room_importing_the_lab_is_refused(self) -> None:
        self.assertEqual(
            ['N302'],
            self._codes(
                'zsbm_ironic/drivers/power.py',
                checks.SPDX,
                'from zsbm_ironic import lab',
            ),
        )

    def test_test_may_import_the_lab(self) -> None:
        self.assertEqual(
            [],
            self._codes(
                'tests/x.py', checks.SPDX, 'from zsbm_ironic.lab import cli'
            ),
        )

    def test_file_without_spdx_line_is_refused(self) -> None:
        self.assertEqual(['N303'], self._codes('tests/x.py', 'import os'))
