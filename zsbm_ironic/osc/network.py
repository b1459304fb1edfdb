# SPDX-License-Identifier: Apache-2.0
"""`openstack baremetal node network check`: will a server reach its networks?

Called by python-openstackclient and `baremetal`. Asks the node's vendor
interface `zsbm`, as `node.BootTimeline` does, with the same rights.
"""

import argparse
from collections.abc import Iterable

from ironicclient.osc import command

COLUMNS = ('State', 'Check', 'About', 'By', 'Found', 'Remedy')
FIELDS = ('state', 'check', 'about', 'means', 'detail', 'remedy')
# What is wrong is read first.
ORDER = ('wrong', 'unknown', 'ok')
WRONG_STATUS = 1

Row = tuple[str, ...]


class NetworkCheck(command.Lister):
    """Check the way from a node to its networks, before anything is touched.

    Holds the settings of Ironic and Neutron against each other and, where the
    conductor may ask them, against what switches answer. Ends with status 1
    when something is wrong. The node has to use the vendor interface zsbm and
    a network interface zsbm-flat, zsbm-vpc or zsbm-vlan.
    """

    _wrong = False

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the node, --network and --all to the options of a list."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('node', metavar='<node>', help='Name or UUID.')
        parser.add_argument(
            '--network',
            metavar='<network>',
            help=(
                'Name or ID of a network that the node is not in yet, to be '
                'checked as that of its user.'
            ),
        )
        parser.add_argument(
            '--all',
            action='store_true',
            help='Show also what is as it should be.',
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], list[Row]]:
        """Return column names and a row for each thing that was found."""
        arguments = {}
        if parsed_args.network:
            arguments['network'] = parsed_args.network
        answer = self.app.client_manager.baremetal.node.vendor_passthru(
            parsed_args.node,
            'network_check',
            http_method='GET',
            args=arguments,
        )
        self._wrong = any(one['state'] == 'wrong' for one in answer.findings)
        return COLUMNS, rows(answer.findings, parsed_args.all)

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print as any list does; tell by the status whether one is wrong."""
        status = super().run(parsed_args)
        return WRONG_STATUS if self._wrong else int(status or 0)


def rows(findings: Iterable[dict[str, str]], everything: bool) -> list[Row]:
    """Turn findings into rows of COLUMNS, what is wrong first.

    :param everything: also those that are as they should be.
    """
    return [
        tuple(one[field] for field in FIELDS)
        for one in sorted(findings, key=lambda one: ORDER.index(one['state']))
        if everything or one['state'] != 'ok'
    ]
