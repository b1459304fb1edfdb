# SPDX-License-Identifier: Apache-2.0
"""`openstack baremetal node boot timeline`: what happened during a boot.

Called by python-openstackclient and `baremetal`. Asks the node's vendor
interface `zsbm`, so the caller needs what vendor passthru needs: system
admin, unless the policy of the cloud says otherwise.
"""

import argparse
import datetime
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from ironicclient.osc import command

COLUMNS = (
    'Time (UTC)',
    'Elapsed (s)',
    'Gap (s)',
    'Source',
    'Event',
    'MAC',
    'Detail',
)
FOLLOW_POLL_S = 2.0
# Silence after which the next event belongs to another boot. The longest
# quiet part of a deploy is the writing of an image.
NEW_RUN_GAP_S = 1800.0

Row = tuple[str, float, float, str, str, str, str]


class BootTimeline(command.Lister):
    """Show what happened while a node booted or was deployed, and when.

    Events come from the BMC, DHCP, TFTP, HTTP, the agent and the conductor.
    Elapsed counts from the first event of a run; half an hour without any
    event ends a run. The node has to use the vendor interface zsbm.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Add the node and --follow to the options of a list."""
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        parser.add_argument('node', metavar='<node>', help='Name or UUID.')
        parser.add_argument(
            '--follow',
            action='store_true',
            help=(
                'Go on and print each new event as it comes, until Ctrl-C. '
                'With -f json that is one JSON object a line.'
            ),
        )
        return parser

    def take_action(
        self, parsed_args: argparse.Namespace
    ) -> tuple[tuple[str, ...], Iterable[Row]]:
        """Return column names and rows; with --follow they do not end."""
        if parsed_args.follow:
            return COLUMNS, rows(self._follow(parsed_args.node))
        return COLUMNS, list(rows(self._read(parsed_args.node)))

    def produce_output(
        self,
        parsed_args: argparse.Namespace,
        column_names: Any,
        data: Iterable[Any],
    ) -> int:
        """Print rows as they come with --follow, else as any list does."""
        if not parsed_args.follow:
            return int(
                super().produce_output(parsed_args, column_names, data) or 0
            )
        as_json = parsed_args.formatter == 'json'
        try:
            for row in data:
                line = (
                    json.dumps(dict(zip(column_names, row, strict=True)))
                    if as_json
                    else as_line(row)
                )
                print(line, file=self.app.stdout, flush=True)
        except KeyboardInterrupt:
            # The documented way to end it.
            pass
        return 0

    def _read(self, node: str) -> list[dict[str, Any]]:
        baremetal = self.app.client_manager.baremetal
        answer = baremetal.node.vendor_passthru(
            node, 'boot_timeline', http_method='GET'
        )
        events: list[dict[str, Any]] = answer.events
        return events

    def _follow(self, node: str) -> Iterator[dict[str, Any]]:
        shown: set[str] = set()
        while True:
            current = {
                json.dumps(event, sort_keys=True): event
                for event in self._read(node)
            }
            for key, event in current.items():
                if key not in shown:
                    yield event
            # The server forgets old events, so may we.
            shown = set(current)
            time.sleep(FOLLOW_POLL_S)


def rows(events: Iterable[dict[str, Any]]) -> Iterator[Row]:
    """Turn events, oldest first, into rows of COLUMNS.

    An event that comes late (from another program's file) is shown where it
    comes, with a gap of 0.
    """
    started: float | None = None
    previous = 0.0
    for event in events:
        moment = float(event['timestamp'])
        if started is None or moment - previous > NEW_RUN_GAP_S:
            started = previous = moment
        yield (
            utc(moment),
            round(moment - started, 1),
            round(max(0.0, moment - previous), 1),
            event['source'],
            event['name'],
            event.get('mac', ''),
            event.get('detail', ''),
        )
        previous = max(previous, moment)


def utc(timestamp: float) -> str:
    """Return seconds since the epoch as `2026-01-31 12:00:00.0`, in UTC."""
    moment = datetime.datetime.fromtimestamp(timestamp, datetime.UTC)
    return f'{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100_000}'


def as_line(row: Row) -> str:
    """Return a row with fixed widths, for a terminal that scrolls."""
    moment, elapsed, gap, source, name, mac, detail = row
    return (
        f'{moment}  {elapsed:8.1f}  {gap:+7.1f}  {source:<9}  '
        f'{name:<18}  {mac:<17}  {detail}'
    ).rstrip()
