# SPDX-License-Identifier: Apache-2.0
"""How the ramdisk came up: moments, firmware and links, read from /proc, /sys.

Called by the hardware manager when the agent collects logs; the report is a
file in the archive that the conductor keeps of each deploy or cleaning
([agent]deploy_logs_collect). It answers where the time of a boot went and
which cable was not plugged in, without a console.
"""

import datetime
import os
import pathlib
import time
from typing import Any

from zsbm_ironic.ramdisk import version

# UEFI 2.10, section 3.3: the variable is 4 bytes of attributes and 1 of data.
SECURE_BOOT = (
    'sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'
)
ROOT = pathlib.Path('/')


def collect(
    managers_loaded_s: float, root: pathlib.Path = ROOT
) -> dict[str, Any]:
    """Return the report as JSON-ready data.

    The clock of a ramdisk may be hours off, so moments are seconds since the
    kernel started; `reported_at` ties them to the ramdisk's own clock.

    :param managers_loaded_s: uptime when the agent loaded its managers.
    :param root: where /proc and /sys hang.
    """
    return {
        'in_band_version': version.IN_BAND_VERSION,
        'reported_at': datetime.datetime.now(datetime.UTC).isoformat(),
        'seconds_since_kernel_start': {
            'agent_process': _process_start_s(root),
            'managers_loaded': managers_loaded_s,
            'report': uptime_s(),
        },
        'firmware': 'uefi' if (root / 'sys/firmware/efi').is_dir() else 'bios',
        'secure_boot': _secure_boot(root),
        'links': _links(root),
    }


def uptime_s() -> float:
    """Return the seconds since the kernel started."""
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 2)


def _process_start_s(root: pathlib.Path) -> float | None:
    """Return when this process started (proc(5): field 22 of stat)."""
    stat = _text(root / 'proc/self/stat')
    if stat is None:
        return None
    ticks = int(stat.rpartition(')')[2].split()[19])
    return round(ticks / os.sysconf('SC_CLK_TCK'), 2)


def _secure_boot(root: pathlib.Path) -> bool | None:
    """Return whether Secure Boot is on, None where the firmware has none."""
    try:
        value = (root / SECURE_BOOT).read_bytes()
    except OSError:
        return None
    return value[4:5] == b'\x01'


def _links(root: pathlib.Path) -> list[dict[str, Any]]:
    """Return each network interface that has a device behind it."""
    links = []
    for path in sorted((root / 'sys/class/net').glob('*')):
        if not (path / 'device').exists():
            continue
        speed = _text(path / 'speed')
        links.append(
            {
                'name': path.name,
                'mac': _text(path / 'address'),
                'carrier': _text(path / 'carrier') == '1',
                # The kernel says -1 where the link is down.
                'speed_mbps': int(speed) if speed and speed != '-1' else None,
            }
        )
    return links


def _text(path: pathlib.Path) -> str | None:
    """Return a file's text, None where the kernel refuses or has it not."""
    try:
        return path.read_text().strip()
    except OSError:
        return None
