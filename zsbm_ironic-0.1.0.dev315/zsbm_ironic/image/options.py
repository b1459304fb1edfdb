# SPDX-License-Identifier: Apache-2.0
"""What `zsbm-image` may be asked for, and how it explains itself."""

import argparse
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from zsbm_ironic.image import convert, hardware, kits, rehearse

DEFAULT_HARDWARE = ('bios-sata', 'uefi-nvme')

Handler = Callable[[argparse.Namespace], int]


def parser(handlers: Mapping[str, Handler]) -> argparse.ArgumentParser:
    """Return the parser.

    :param handlers: by command: check, convert, rehearse, kit build.
    """
    whole = argparse.ArgumentParser(
        prog='zsbm-image',
        description='Makes VM images boot on bare metal.',
    )
    verbs = whole.add_subparsers(title='commands', required=True)
    _check(verbs).set_defaults(handler=handlers['check'])
    _convert(verbs).set_defaults(handler=handlers['convert'])
    _rehearse(verbs).set_defaults(handler=handlers['rehearse'])
    _kit_build(verbs).set_defaults(handler=handlers['kit build'])
    return whole


def _check(verbs: Any) -> argparse.ArgumentParser:
    check: argparse.ArgumentParser = verbs.add_parser(
        'check',
        help='say whether an image boots on given hardware, and why not',
        description='Says whether an image boots on given hardware, without '
        'running anything of it and without root.',
        epilog='Exit status: 0 fit, 3 warn (boots, but something is '
        'missing), 4 unfit (conversion mends it), 5 refuse (nothing mends '
        'it), 1 failed, 2 wrong call.',
    )
    check.add_argument('image', metavar='IMAGE', type=pathlib.Path)
    _add_hardware(check)
    check.add_argument(
        '--keep',
        metavar='FOLDER',
        type=pathlib.Path,
        help='keep the verdicts for the conductor, in the folder that its '
        '[zsbm_image]verdict_dir names',
    )
    check.add_argument(
        '--glance',
        metavar='IMAGE',
        help='keep the verdicts as a property of this image in Glance (name '
        'or ID), which has to be the same file',
    )
    _add_format(check)
    return check


def _convert(verbs: Any) -> argparse.ArgumentParser:
    whole: argparse.ArgumentParser = verbs.add_parser(
        'convert',
        help='write a copy of an image that boots on given hardware',
        description='Writes a copy of an image that boots on given hardware '
        'and still as the VM that it was, without root, without a mount and '
        'without running anything of it.',
        epilog='Exit status: 0 the copy boots there, 3 the same, but '
        'something is missing, 1 failed and nothing was written, 2 wrong '
        'call.',
    )
    whole.add_argument('image', metavar='IN', type=pathlib.Path)
    whole.add_argument('output', metavar='OUT', type=pathlib.Path)
    _add_hardware(whole)
    whole.add_argument(
        '--mac',
        metavar='MAC',
        action='append',
        type=hardware.mac,
        default=[],
        help='MAC of the first, second, ... interface: it gets the first, '
        'second, ... name that the network settings of the image have',
    )
    whole.add_argument(
        '-O',
        '--output-format',
        choices=convert.FORMATS,
        default='qcow2',
        help='of OUT (default: qcow2)',
    )
    whole.add_argument('--force', action='store_true', help='replace OUT')
    _add_guest(whole)
    _add_cache(whole)
    _add_format(whole)
    return whole


def _rehearse(verbs: Any) -> argparse.ArgumentParser:
    whole: argparse.ArgumentParser = verbs.add_parser(
        'rehearse',
        help='boot a converted copy of an image in a twin of a server',
        description='Converts a copy of an image for a server, boots it in a '
        'QEMU machine that is like this server, without a network, and '
        'says where the boot ends. The image stays as it is.',
        epilog='Exit status: 0 it is up and sends to its network, 3 it is up '
        'without a network, 4 it is not up, 1 failed, 2 wrong call.',
    )
    whole.add_argument('image', metavar='IMAGE', type=pathlib.Path)
    _add_hardware(whole)
    whole.add_argument(
        '--limit',
        metavar='SECONDS',
        type=float,
        default=rehearse.LIMIT_S,
        help='for one boot (default: %(default).0f)',
    )
    _add_guest(whole)
    _add_cache(whole)
    _add_format(whole)
    return whole


def _kit_build(verbs: Any) -> argparse.ArgumentParser:
    kit = verbs.add_parser(
        'kit',
        help='fetch a kernel for hardware before an image needs it',
        description='Fetches a kernel for hardware, for images of this '
        'distribution that have one for VMs alone. `convert` does it by '
        'itself where it is needed; do it before on a host that has the '
        'network only now.',
    )
    actions = kit.add_subparsers(title='commands', required=True)
    build: argparse.ArgumentParser = actions.add_parser(
        'build', help='fetch it; print its release and where it is'
    )
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
    build.add_argument(
        '--serve',
        metavar='FOLDER',
        type=pathlib.Path,
        help='put it also where servers fetch it, in the folder that the '
        "conductor's [zsbm_image]kit_dir names",
    )
    _add_cache(build)
    return build


def _add_hardware(whole: argparse.ArgumentParser) -> None:
    whole.add_argument(
        '--hardware',
        metavar='NAME|FILE',
        action='append',
        default=[],
        help=f'{", ".join(hardware.PROFILES)}, or a TOML or JSON file that '
        'describes a server; may be given several times (default: '
        f'{" and ".join(DEFAULT_HARDWARE)})',
    )
    whole.add_argument(
        '--node',
        metavar='NODE',
        action='append',
        default=[],
        help='name or UUID of a server that Ironic has inspected; may be '
        'given several times',
    )
    whole.add_argument(
        '--os-cloud',
        metavar='CLOUD',
        help='entry of clouds.yaml to ask for nodes (default: OS_CLOUD, else '
        'the other OS_* variables)',
    )


def _add_guest(whole: argparse.ArgumentParser) -> None:
    for name, what in (
        ('kernel', 'kernel of the deploy ramdisk'),
        ('initramfs', 'deploy ramdisk'),
    ):
        whole.add_argument(
            f'--{name}',
            metavar='FILE',
            type=pathlib.Path,
            help=f'{what}: it is started in QEMU for images whose file '
            'systems only a kernel writes (XFS, btrfs, LVM)',
        )


def _add_cache(whole: argparse.ArgumentParser) -> None:
    whole.add_argument(
        '--cache',
        metavar='FOLDER',
        type=pathlib.Path,
        default=convert.cache_folder(),
        help='where boot loaders and kernels are kept (default: %(default)s)',
    )


def _add_format(whole: argparse.ArgumentParser) -> None:
    whole.add_argument(
        '-f',
        '--format',
        choices=('text', 'json'),
        default='text',
        help='what is printed (default: text)',
    )
