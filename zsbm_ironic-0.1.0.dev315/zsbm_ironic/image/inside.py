# SPDX-License-Identifier: Apache-2.0
"""Adapts a disk where the kernel may mount what is on it.

Run by the deploy ramdisk as `python3 -m zsbm_ironic.image.inside`, on a
machine that was started for one image: TASK says what is to be done, and
what was done is one line of JSON on REPLY.
"""

import contextlib
import json
import pathlib
import sys
from typing import Any

from zsbm_ironic.common import exception
from zsbm_ironic.image import (
    adapt,
    hardware,
    kits,
    packed_kits,
    supplies,
)
from zsbm_ironic.image import exception as image_exception

TASK = pathlib.Path('/etc/zsbm/adapt.json')
REPLY = pathlib.Path('/dev/ttyS1')
MARK = 'zsbm-adapt: '


def main() -> int:
    """Do what TASK says."""
    task = json.loads(TASK.read_text())
    answer = answer_to(task)
    with REPLY.open('w') as sink:
        sink.write(f'\n{MARK}{json.dumps(answer)}\n')
    return 0


def answer_to(task: dict[str, Any]) -> dict[str, Any]:
    """Return the report as data, or `error`, a text.

    Or `kit`, OS and architecture of a kernel that it is to have as a disk;
    nothing was changed then.
    """
    wanted = [hardware.from_data(one) for one in task['hardware']]
    with contextlib.ExitStack() as stack:

        def kit_of(identifier: str, architecture: str) -> kits.Kit | None:
            disk = pathlib.Path(task['kit']) if task['kit'] else None
            return (
                stack.enter_context(packed_kits.mounted(disk))
                if disk
                else None
            )

        try:
            report = adapt.adapt(
                pathlib.Path(task['disk']),
                wanted,
                supplies.Installed(kit_of),
                mount=True,
                speaks=task['speaks'],
            )
        except image_exception.KitMissing as exc:
            return {
                'kit': [exc.fields['identifier'], exc.fields['architecture']]
            }
        except (exception.ZsbmError, OSError) as exc:
            return {'error': str(exc)}
        return {'report': report.data()}


def task(
    disk: str,
    wanted: list[hardware.Hardware],
    *,
    kit: str | None,
    speaks: bool,
) -> bytes:
    """Return what TASK is to hold; see `adapt.adapt`.

    :param kit: disk with the kernel that was asked for.
    """
    return json.dumps(
        {
            'disk': disk,
            'hardware': [one.data() for one in wanted],
            'kit': kit,
            'speaks': speaks,
        }
    ).encode()


if __name__ == '__main__':
    sys.exit(main())
