# SPDX-License-Identifier: Apache-2.0
"""What the tests of `zsbm-status` share: files, and a node of the API."""

import contextlib
import io
import pathlib
from typing import Any

import fixtures
import testtools
from openstack.baremetal.v1 import node as sdk_node
from oslo_config import cfg

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.status import cli


class StatusTestCase(testtools.TestCase):
    """Writes configuration files into a folder of the test's own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def file(self, text: str, name: str = 'ironic.conf') -> str:
        """Write a configuration file and return its path."""
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def conf(self, text: str = '') -> cfg.ConfigOpts:
        """Return the configuration that a file with this text gives."""
        return ironic_compat.configuration([self.file(text)])

    def run_status(self, *words: str) -> tuple[int, str, str]:
        """Run `zsbm-status`; return exit status and both outputs."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(words)
        return status, out.getvalue(), err.getvalue()


def node(**fields: Any) -> sdk_node.Node:
    """Return a node as openstacksdk makes it of an answer of the API."""
    answer = {
        'uuid': '1be26c0b-03f2-4d2e-ae87-c02d7f33c781',
        'name': 'web-3',
        'driver': 'zsbm',
        'driver_info': {},
        'maintenance': False,
        'provision_state': 'available',
        **fields,
    }
    return sdk_node.Node.existing(**answer)
