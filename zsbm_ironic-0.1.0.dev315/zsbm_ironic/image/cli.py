# SPDX-License-Identifier: Apache-2.0
"""The command `zsbm-image`: will it boot there, and make it.

Reads its arguments, calls this room, and turns what it found into text or
JSON and an exit status. Needs no root.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from zsbm_ironic.common import artifacts, completion, exception
from zsbm_ironic.image import (
    adapt,
    glance,
    hardware,
    identity,
    inventory,
    kits,
    micro_vm,
    options,
    packed_kits,
    rehearse,
    source,
    system,
    verdict,
    volumes,
)
from zsbm_ironic.image import (
    convert as convert_image,
)
from zsbm_ironic.image import (
    verdicts as verdicts_kept,
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
    parser = options.parser(
        {
            'check': _check,
            'convert': _convert,
            'rehearse': _rehearse,
            'kit build': _build_kit,
        }
    )
    completion.offer(parser)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.handler(arguments)
    except (exception.ZsbmError, OSError) as exc:
        sys.stderr.write(f'zsbm-image: {exc}\n')
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _hardware(arguments: argparse.Namespace) -> list[hardware.Hardware]:
    """Return the servers that were named, or the usual ones."""
    found = [hardware.of(name) for name in arguments.hardware]
    found += [
        inventory.of_node(node, arguments.os_cloud) for node in arguments.node
    ]
    return found or [hardware.of(name) for name in options.DEFAULT_HARDWARE]


def _guest(arguments: argparse.Namespace) -> micro_vm.Guest | None:
    if arguments.kernel and arguments.initramfs:
        return micro_vm.Guest(arguments.kernel, arguments.initramfs)
    return None


def _build_kit(arguments: argparse.Namespace) -> int:
    cache = artifacts.Artifacts(arguments.cache, refresh=arguments.refresh)
    identifier = kits.names()[arguments.distribution]
    kit = kits.build(cache, identifier, arguments.architecture)
    place = kit.folder
    if arguments.serve:
        with cache.report.step('serve'):
            place = packed_kits.publish(
                kit, arguments.serve, identifier, arguments.architecture
            )
    print(f'{kit.release} {place}')
    return 0


def _convert(arguments: argparse.Namespace) -> int:
    report = convert_image.convert(
        arguments.image,
        arguments.output,
        [one.with_macs(arguments.mac) for one in _hardware(arguments)],
        output_format=arguments.output_format,
        force=arguments.force,
        cache=artifacts.Artifacts(arguments.cache),
        guest=_guest(arguments),
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


def _rehearse(arguments: argparse.Namespace) -> int:
    cache = artifacts.Artifacts(arguments.cache)
    outcomes = {
        one.name: rehearse.rehearse(
            arguments.image,
            one,
            cache=cache,
            guest=_guest(arguments),
            limit_s=arguments.limit,
        )
        for one in _hardware(arguments)
    }
    if arguments.format == 'json':
        data = {name: one.data() for name, one in outcomes.items()}
        print(json.dumps(data, indent=1))
    else:
        for name, one in outcomes.items():
            print('\n'.join(_outcome_text(name, one)))
    return max(_rehearsal_exit(one) for one in outcomes.values())


def _rehearsal_exit(outcome: rehearse.Outcome) -> int:
    if outcome.stage is not rehearse.Stage.UP:
        return EXIT[verdict.Level.UNFIT]
    level = verdict.Level.FIT if outcome.on_network else verdict.Level.WARN
    return EXIT[level]


def _outcome_text(name: str, outcome: rehearse.Outcome) -> list[str]:
    lines = [f'{name}: {outcome.text}, after {outcome.seconds:.0f} s']
    lines += [
        f'  {mac} sends to its network'
        if sends
        else f'  {mac} sends nothing: it has another name than the network '
        'settings of the image, or none of them'
        for mac, sends in outcome.network.items()
    ]
    lines += [f'  {one}' for one in outcome.stand_ins]
    if outcome.stage is not rehearse.Stage.UP:
        lines += [
            '  its console ends:',
            *(f'  | {one}' for one in outcome.tail),
        ]
    return lines


def _check(arguments: argparse.Namespace) -> int:
    wanted = _hardware(arguments)
    image = source.inspect(arguments.image)
    with source.opened(image) as raw:
        disk = volumes.read(raw)
        found = system.find(disk)
        verdicts = {
            one.name: verdict.of_disk(disk, found, one) for one in wanted
        }
        untouched = found is None or not identity.is_in(found)
    by_server = {one: verdicts[one.name] for one in wanted}
    if arguments.keep:
        kept = verdicts_kept.keep(
            arguments.keep, arguments.image, by_server, untouched=untouched
        )
        sys.stderr.write(f'kept in {kept}\n')
    if arguments.glance:
        identifier = glance.keep(
            arguments.glance,
            arguments.os_cloud,
            arguments.image,
            by_server,
            untouched=untouched,
        )
        sys.stderr.write(f'kept with image {identifier} in Glance\n')
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
