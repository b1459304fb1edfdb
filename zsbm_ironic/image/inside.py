# SPDX-License-Identifier: Apache-2.0
"""Adapts a disk where the kernel may mount what is on it.

Run by the deploy ramdisk as `python3 -m zsbm_ironic.image.inside`, on a
machine that was started for one image: TASK says what is to be done, and
what was done is one line of JSON on REPLY.
"""

import json
import pathlib
import sys
from typing import Any

from zsbm_ironic.common import exception
from zsbm_ironic.image import adapt, hardware, supplies

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
    """Return the report as data, or `error`, a text."""
    wanted = [hardware.from_data(one) for one in task['hardware']]
    try:
        report = adapt.adapt(
            pathlib.Path(task['disk']),
            wanted,
            supplies.Installed(),
            mount=True,
            speaks=task['speaks'],
        )
    except (exception.ZsbmError, OSError) as exc:
        return {'error': str(exc)}
    return {'report': report.data()}


def task(disk: str, wanted: list[hardware.Hardware], *, speaks: bool) -> bytes:
    """Return what TASK is to hold; see `adapt.adapt`."""
    return json.dumps(
        {
            'disk': disk,
            'hardware': [one.data() for one in wanted],
            'speaks': speaks,
        }
    ).encode()


if __name__ == '__main__':
    sys.exit(main())
