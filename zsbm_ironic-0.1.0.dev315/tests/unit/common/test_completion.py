# SPDX-License-Identifier: Apache-2.0
"""The tab key, in the shell that asks and with the commands that answer."""

import pathlib
import sys

import fixtures
import testtools

from zsbm_ironic.common import process

BIN = pathlib.Path(sys.executable).parent

# What readline does when somebody has typed $1 and presses the key.
PRESS = """
set -eu
command=${1%% *}
eval "$(register-python-argcomplete "$command")"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
_python_argcomplete "$command"
printf '%s\\n' "${COMPREPLY[@]}"
"""

# The same without a shell: for a Python that has no argcomplete.
ASK = """
import sys
sys.modules['argcomplete'] = None
from zsbm_ironic.status import cli
cli.main(['config'])
"""


class CompletionTest(testtools.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.state = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def press(self, typed: str) -> set[str]:
        """Return what bash offers after what was typed."""
        done = process.run(
            ['bash', '-c', PRESS, 'bash', typed],
            timeout_s=60,
            env={
                'PATH': f'{BIN}:/usr/bin:/bin',
                'ZSBM_LAB_DIR': str(self.state),
            },
        )
        return {word.rstrip() for word in done.stdout.splitlines()} - {''}

    def test_subcommands(self) -> None:
        found = self.press('zsbm-lab ')
        self.assertLessEqual({'up', 'down', 'status', 'fault'}, found)
        self.assertNotIn('--help', found)
        self.assertEqual({'check'}, self.press('zsbm-status upgrade c'))

    def test_options(self) -> None:
        self.assertEqual({'--conductors'}, self.press('zsbm-lab up --con'))
        found = self.press('zsbm-status check --')
        self.assertLessEqual({'--config-file', '--node', '--format'}, found)

    def test_choices(self) -> None:
        found = self.press('zsbm-lab up --stack ')
        self.assertEqual({'stock', 'zsbm'}, found)
        found = self.press('zsbm-lab fault bmc-c')
        self.assertEqual({'bmc-certificate'}, found)
        found = self.press('zsbm-status leave --format ')
        self.assertEqual({'text', 'json'}, found)

    def test_machines_of_the_lab(self) -> None:
        default = {'metal-uefi', 'metal-bios'}
        self.assertEqual(default, self.press('zsbm-lab ssh '))
        declared = self.state / 'machines.toml'
        declared.write_text('[[machine]]\nname = "rack-1"\n')
        plan = self.state / 'plan.json'
        plan.write_text(f'{{"machines_file": "{declared}"}}')
        for typed in ('ssh ', 'demo ', 'fault cable '):
            self.assertEqual({'rack-1'}, self.press(f'zsbm-lab {typed}'))
        declared.write_text('no TOML')
        self.assertNotIn('rack-1', self.press('zsbm-lab ssh '))
        self.assertEqual(
            {declared, plan}, set(self.state.iterdir()), 'made something'
        )

    def test_a_command_without_the_library_is_not_run(self) -> None:
        done = process.run(
            [sys.executable, '-c', ASK],
            timeout_s=60,
            env={'_ARGCOMPLETE': '1'},
            check=False,
        )
        self.assertEqual((1, ''), (done.returncode, done.stdout))
