# SPDX-License-Identifier: Apache-2.0
"""The command `zsbm-status`.

Loads with any extra: what a subcommand needs beyond it is imported when the
subcommand is run.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg

from zsbm_ironic.common import completion, exception
from zsbm_ironic.status import exception as status_exception

DESCRIPTION = """\
Settings of a host for zsbm-ironic: print them, check them, leave again.
Nothing is ever changed.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; 0 is good, 1 is a failed check, 2 an error."""
    parser = _parser()
    completion.offer(parser)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except exception.ZsbmError as exc:
        print(f'zsbm-status: {exc}', file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='zsbm-status', description=DESCRIPTION
    )
    commands = parser.add_subparsers(required=True, metavar='COMMAND')
    config = _command(
        commands,
        'config',
        _config,
        'print an ironic.conf fragment for this host',
    )
    config.add_argument(
        '--interface',
        help='network interface on the provisioning network (default: the '
        'one with my_ip, else the one of the default route)',
    )
    config.add_argument(
        '--address',
        metavar='ADDRESS/LENGTH',
        help='IPv4 address that --interface will have: it need not be there '
        'yet',
    )
    check = _command(
        commands,
        'check',
        _check,
        'compare the running configuration and test what can be tested; '
        'exit status 1 where something fails',
    )
    check.add_argument(
        '--node',
        help='a node whose BMC is to be reached too (needs OS_* or OS_CLOUD)',
    )
    _format(check)
    upgrade = commands.add_parser('upgrade', help='checks for an upgrade')
    _command(
        upgrade.add_subparsers(required=True, metavar='COMMAND'),
        'check',
        _upgrade,
        'say whether the services may be started on this version; exit '
        'status 0 yes, 1 with warnings, 2 no',
    )
    leave = _command(
        commands,
        'leave',
        _leave,
        'list nodes and options that are still ours, in the order of leaving '
        '(needs OS_* or OS_CLOUD); exit status 1 while there are any',
    )
    _format(leave)
    routes = commands.add_parser(
        'routes',
        help='print alertmanager.yml for the people that a file names',
        description='Print alertmanager.yml for the people that a file names.',
    )
    routes.add_argument(
        'contacts',
        type=pathlib.Path,
        metavar='CONTACTS',
        help='who is called for the servers of which project, and how mail is '
        'sent (TOML; see the documentation)',
    )
    routes.set_defaults(run=_routes)
    return parser


def _command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + '.'
    )
    parser.add_argument(
        '--config-file',
        action='append',
        default=[],
        metavar='FILE',
        help='configuration file of the conductor, repeatable, later ones '
        'win (default: where ironic looks, such as /etc/ironic/ironic.conf '
        'and /etc/ironic/ironic.conf.d)',
    )
    parser.set_defaults(run=run)
    return parser


def _format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '-f',
        '--format',
        choices=('text', 'json'),
        default='text',
        help='form of the output (default: %(default)s)',
    )


def _configuration(
    arguments: argparse.Namespace,
) -> tuple[cfg.ConfigOpts, list[str]]:
    """Return the options and the files that they were read from."""
    from zsbm_ironic.common import ironic_compat

    files = [str(pathlib.Path(one)) for one in arguments.config_file]
    try:
        conf = ironic_compat.configuration(files)
    except (cfg.Error, ValueError, OSError) as exc:
        raise status_exception.StatusConfigurationUnreadable(
            problem=' '.join(str(exc).split())
        ) from exc
    for directory in conf.config_dirs if not files else ():
        files += sorted(map(str, pathlib.Path(directory).glob('*.conf')))
    return conf, list(conf.config_file or []) + [
        file for file in files if file not in (conf.config_file or [])
    ]


def _config(arguments: argparse.Namespace) -> int:
    from zsbm_ironic.status import fragment, host

    conf, files = _configuration(arguments)
    interface = arguments.interface or conf.zsbm_netboot.interface
    if arguments.address:
        address = host.future_address(interface, arguments.address)
        how = 'as asked for'
    else:
        address, how = host.provisioning_address(interface, conf.my_ip)
    text = fragment.render(fragment.settings(conf, address, how), files)
    sys.stdout.write(text)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from zsbm_ironic.status import (
        api,
        checks_conductor,
        checks_image,
        checks_netboot,
        checks_node,
        findings,
    )

    conf, _files = _configuration(arguments)
    checks = [
        *checks_conductor.CHECKS,
        *checks_netboot.CHECKS,
        *checks_image.CHECKS,
    ]
    found = [finding for check in checks for finding in check(conf)]
    if arguments.node:
        node = api.node(api.connect(), arguments.node)
        found += checks_node.bmc(conf, node)
    as_json = arguments.format == 'json'
    print((findings.as_json if as_json else findings.as_text)(found))
    return findings.exit_status(found)


def _upgrade(arguments: argparse.Namespace) -> int:
    from zsbm_ironic.status import upgrade

    conf, files = _configuration(arguments)
    return int(upgrade.Checks(conf, files).check())


def _leave(arguments: argparse.Namespace) -> int:
    from zsbm_ironic.status import api, leave

    conf, _files = _configuration(arguments)
    left = leave.report(conf, api.nodes(api.connect()))
    if arguments.format == 'json':
        print(json.dumps(leave.as_data(left), indent=2))
    else:
        print(leave.as_text(left))
    return int(not left.finished)


def _routes(arguments: argparse.Namespace) -> int:
    from zsbm_ironic.monitoring import routing

    contacts = routing.load(arguments.contacts)
    print(f'# Made from {arguments.contacts} by: zsbm-status routes')
    print(json.dumps(routing.configuration(contacts), indent=2))
    return 0
