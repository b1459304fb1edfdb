# SPDX-License-Identifier: Apache-2.0
"""The command `zsbm-image`: will it boot there?

Reads its arguments, calls this room, and turns what it found into text or
JSON and an exit status. Needs no root.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from zsbm_ironic.common import completion, exception
from zsbm_ironic.image import hardware, source, system, verdict, volumes

EXIT = {
    verdict.Level.FIT: 0,
    verdict.Level.WARN: 3,
    verdict.Level.UNFIT: 4,
    verdict.Level.REFUSE: 5,
}
_MEANING = {
    verdict.Level.FIT: 'boots there as it is',
    verdict.Level.WARN: 'boots there, but something is missing',
    verdict.Level.UNFIT: 'does not boot there; conversion mends it',
    verdict.Level.REFUSE: 'does not boot there, and nothing mends it',
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `zsbm-image`; see the epilog for exit statuses."""
    parser = _parser()
    completion.offer(parser)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.handler(arguments)
    except exception.ZsbmError as exc:
        sys.stderr.write(f'zsbm-image: {exc}\n')
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='zsbm-image',
        description='Makes VM images boot on bare metal.',
    )
    verbs = parser.add_subparsers(title='commands', required=True)
    check = verbs.add_parser(
        'check',
        help='say whether an image boots on given hardware, and why not',
        description='Says whether an image boots on given hardware, without '
        'running anything of it and without root.',
        epilog='Exit status: 0 fit, 3 warn (boots, but something is '
        'missing), 4 unfit (conversion mends it), 5 refuse (nothing mends '
        'it), 1 failed, 2 wrong call.',
    )
    check.add_argument('image', metavar='IMAGE', type=pathlib.Path)
    check.add_argument(
        '--hardware',
        metavar='NAME|FILE',
        action='append',
        help=f'{", ".join(hardware.PROFILES)}, or a TOML or JSON file that '
        'describes a server; may be given several times (default: bios-sata '
        'and uefi-nvme)',
    )
    check.add_argument(
        '-f',
        '--format',
        choices=('text', 'json'),
        default='text',
        help='what is printed (default: text)',
    )
    check.set_defaults(handler=_check)
    return parser


def _check(arguments: argparse.Namespace) -> int:
    names = arguments.hardware or ['bios-sata', 'uefi-nvme']
    wanted = [hardware.of(name) for name in names]
    image = source.inspect(arguments.image)
    with source.opened(image) as raw:
        disk = volumes.read(raw)
        found = system.find(disk)
        verdicts = {
            one.name: verdict.of_disk(disk, found, one) for one in wanted
        }
    if arguments.format == 'json':
        print(json.dumps(_data(image, found, verdicts), indent=1))
    else:
        print('\n'.join(_text(image, found, verdicts)))
    return max(EXIT[one.level] for one in verdicts.values())


def _data(
    image: source.Source,
    found: system.System | None,
    verdicts: dict[str, verdict.Verdict],
) -> dict[str, object]:
    return {
        'image': str(image.path),
        'format': image.format,
        'virtual_bytes': image.virtual_bytes,
        'system': found.identifier if found else None,
        'kernel': found.modules.release if found and found.modules else None,
        'verdicts': {
            name: {
                'verdict': one.level.name.lower(),
                'findings': [
                    {
                        'level': finding.level.name.lower(),
                        'key': finding.key,
                        'what': finding.what,
                        'remedy': finding.remedy,
                    }
                    for finding in one.findings
                ],
            }
            for name, one in verdicts.items()
        },
    }


def _text(
    image: source.Source,
    found: system.System | None,
    verdicts: dict[str, verdict.Verdict],
) -> list[str]:
    lines = [f'{image.path}: {image.format}, {image.virtual_bytes >> 20} MiB']
    if found:
        kernel = found.modules.release if found.modules else 'unknown'
        lines.append(f'{found.title}, kernel {kernel}')
    for name, one in verdicts.items():
        lines.append('')
        lines.append(f'{name}: {one.level.name} - {_MEANING[one.level]}')
        for finding in one.findings:
            lines.append(f'  {finding.level.name.lower():7} {finding.what}')
            lines.append(f'          -> {finding.remedy}')
    return lines
