# SPDX-License-Identifier: Apache-2.0
"""The command `zsbm-image`: will it boot there, and make it.

Reads its arguments, calls this room, and turns what it found into text or
JSON and an exit status. Needs no root.
"""

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from zsbm_ironic.common import artifacts, completion, exception
from zsbm_ironic.image import (
    adapt,
    hardware,
    kits,
    micro_vm,
    source,
    system,
    verdict,
    volumes,
)
from zsbm_ironic.image import (
    convert as convert_image,
)

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
    _add_convert(verbs)
    _add_kit(verbs)
    return parser


def _add_kit(verbs: Any) -> None:
    kit = verbs.add_parser(
        'kit',
        help='fetch a kernel for hardware before an image needs it',
        description='Fetches a kernel for hardware, for images of this '
        'distribution that have one for VMs alone. `convert` does it by '
        'itself where it is needed; do it before on a host that has the '
        'network only now.',
    )
    actions = kit.add_subparsers(title='commands', required=True)
    build = actions.add_parser('build', help='fetch it; print where it is')
    build.add_argument(
        'distribution', metavar='NAME', choices=sorted(kits.names())
    )
    build.add_argument(
        '--architecture',
        choices=('x86_64', 'aarch64'),
        default='x86_64',
        help='(default: %(default)s)',
    )
    build.add_argument(
        '--refresh', action='store_true', help='fetch the newest again'
    )
    _add_cache(build)
    build.set_defaults(handler=_build_kit)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--cache',
        metavar='FOLDER',
        type=pathlib.Path,
        default=convert_image.cache_folder(),
        help='where boot loaders and kernels are kept (default: %(default)s)',
    )


def _build_kit(arguments: argparse.Namespace) -> int:
    kit = kits.build(
        artifacts.Artifacts(arguments.cache, refresh=arguments.refresh),
        kits.names()[arguments.distribution],
        arguments.architecture,
    )
    print(f'{kit.release} {kit.folder}')
    return 0


def _add_convert(verbs: Any) -> None:
    convert = verbs.add_parser(
        'convert',
        help='write a copy of an image that boots on given hardware',
        description='Writes a copy of an image that boots on given hardware '
        'and still as the VM that it was, without root, without a mount and '
        'without running anything of it.',
        epilog='Exit status: 0 the copy boots there, 3 the same, but '
        'something is missing, 1 failed and nothing was written, 2 wrong '
        'call.',
    )
    convert.add_argument('image', metavar='IN', type=pathlib.Path)
    convert.add_argument('output', metavar='OUT', type=pathlib.Path)
    convert.add_argument(
        '--hardware',
        metavar='NAME|FILE',
        action='append',
        help=f'{", ".join(hardware.PROFILES)}, or a TOML or JSON file that '
        'describes a server; may be given several times (default: bios-sata '
        'and uefi-nvme)',
    )
    convert.add_argument(
        '--mac',
        metavar='MAC',
        action='append',
        type=hardware.mac,
        default=[],
        help='MAC of the first, second, ... interface: it gets the first, '
        'second, ... name that the network settings of the image have',
    )
    convert.add_argument(
        '-O',
        '--output-format',
        choices=convert_image.FORMATS,
        default='qcow2',
        help='of OUT (default: qcow2)',
    )
    convert.add_argument('--force', action='store_true', help='replace OUT')
    for name, what in (
        ('kernel', 'kernel of the deploy ramdisk'),
        ('initramfs', 'deploy ramdisk'),
    ):
        convert.add_argument(
            f'--{name}',
            metavar='FILE',
            type=pathlib.Path,
            help=f'{what}: it is started in QEMU for images whose file '
            'systems only a kernel writes (XFS, btrfs, LVM)',
        )
    _add_cache(convert)
    convert.add_argument(
        '-f',
        '--format',
        choices=('text', 'json'),
        default='text',
        help='of the report (default: text)',
    )
    convert.set_defaults(handler=_convert)


def _convert(arguments: argparse.Namespace) -> int:
    names = arguments.hardware or ['bios-sata', 'uefi-nvme']
    guest = None
    if arguments.kernel and arguments.initramfs:
        guest = micro_vm.Guest(arguments.kernel, arguments.initramfs)
    report = convert_image.convert(
        arguments.image,
        arguments.output,
        [hardware.of(name).with_macs(arguments.mac) for name in names],
        output_format=arguments.output_format,
        force=arguments.force,
        cache=artifacts.Artifacts(arguments.cache),
        guest=guest,
    )
    if arguments.format == 'json':
        print(json.dumps(_report_data(arguments, report), indent=1))
    else:
        print('\n'.join(_report_text(arguments, report)))
    return max(EXIT[one.level] for one in report.verdicts.values())


def _report_data(
    arguments: argparse.Namespace, report: adapt.Report
) -> dict[str, object]:
    return {
        'image': str(arguments.image),
        'output': str(arguments.output),
        **report.data(),
    }


def _report_text(
    arguments: argparse.Namespace, report: adapt.Report
) -> list[str]:
    lines = [f'{arguments.output}: {report.identifier}']
    lines += [
        f'  {change.what}\n          because {change.why}'
        for change in report.changes
    ] or ['  nothing had to be changed']
    return lines + _verdicts_text(report.verdicts)


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
        'verdicts': {name: one.data() for name, one in verdicts.items()},
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
    return lines + _verdicts_text(verdicts)


def _verdicts_text(verdicts: dict[str, verdict.Verdict]) -> list[str]:
    lines = []
    for name, one in verdicts.items():
        lines.append('')
        lines.append(f'{name}: {one.level.name} - {_MEANING[one.level]}')
        for finding in one.findings:
            lines.append(f'  {finding.level.name.lower():7} {finding.what}')
            lines.append(f'          -> {finding.remedy}')
    return lines
