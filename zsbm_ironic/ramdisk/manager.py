# SPDX-License-Identifier: Apache-2.0
"""The hardware manager that ironic-python-agent loads in the ramdisk.

Owns what zsbm-ironic does in-band. The agent finds it by entry point, asks it
for its version with each list of steps (the conductor compares it before an
image is written) and for its part of the ramdisk's logs. All that it does not
define itself falls through to the agent's generic manager. Nothing of it
outlives the ramdisk.
"""

import io
import json

from ironic_python_agent import agent, hardware

from zsbm_ironic.ramdisk import boot_report, version

REPORT_NAME = 'zsbm-boot-report.json'
# Seconds between two heartbeats, at least; upstream's is 5. It is also the
# pause before the agent notices that a step has ended.
HEARTBEAT_PAUSE_S = 1


class ZsbmHardwareManager(hardware.HardwareManager):
    """In-band part of the hardware type `zsbm`."""

    HARDWARE_MANAGER_NAME = version.MANAGER_NAME
    HARDWARE_MANAGER_VERSION = version.IN_BAND_VERSION

    def __init__(self) -> None:
        self._loaded_s = boot_report.uptime_s()

    def evaluate_hardware_support(self) -> int:
        """Return the level that the agent reserves for other packages.

        Above its own managers, so that a step of ours wins over one of the
        same name; our steps are for any machine, so nothing is probed.
        """
        return hardware.HardwareSupport.SERVICE_PROVIDER

    def initialize(self) -> None:
        """Let the agent tell the end of a step at once, not 5 s later.

        Pauses after a failed heartbeat stay as they are, 5 to 10 s: many
        agents must not run down an API that has just come back.
        """
        beater = agent.IronicPythonAgentHeartbeater
        stretch = beater.min_heartbeat_interval / HEARTBEAT_PAUSE_S
        beater.min_heartbeat_interval = HEARTBEAT_PAUSE_S
        beater.min_error_jitter_multiplier *= stretch
        beater.max_error_jitter_multiplier *= stretch

    def collect_system_logs(
        self, io_dict: dict[str, io.BytesIO], file_list: list[str]
    ) -> None:
        """Add the boot report to the archive of the ramdisk's logs.

        :param io_dict: file name -> content, for the archive; changed here.
        :param file_list: paths for the archive; left alone.
        """
        report = boot_report.collect(self._loaded_s)
        text = json.dumps(report, indent=1, sort_keys=True)
        io_dict[REPORT_NAME] = io.BytesIO(text.encode())
