# SPDX-License-Identifier: Apache-2.0
"""The hardware manager that ironic-python-agent loads in the ramdisk.

Owns what zsbm-ironic does in-band. The agent finds it by entry point, asks it
for its version with each list of steps (the conductor compares it before an
image is written) and for its part of the ramdisk's logs. All that it does not
define itself falls through to the agent's generic manager. Nothing of it
outlives the ramdisk.
"""

import contextlib
import dataclasses
import io
import json
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from ironic_python_agent import (
    agent,
    config,
    errors,
    hardware,
    partition_utils,
)
from oslo_config import cfg

from zsbm_ironic.common import exception, process
from zsbm_ironic.image import (
    adapt,
    boot_loader,
    editing,
    identity,
    supplies,
)
from zsbm_ironic.image import exception as image_exception
from zsbm_ironic.ramdisk import (
    boot_report,
    image_size,
    inspection,
    seen,
    served_kits,
    switches,
    this_server,
    version,
)

REPORT_NAME = 'zsbm-boot-report.json'
# Seconds between two heartbeats, at least; upstream's is 5. It is also the
# pause before the agent notices that a step has ended.
HEARTBEAT_PAUSE_S = 1
# How often an image is fetched again, 10 s apart, unless the kernel command
# line says otherwise (ipa-image-download-connection-retries). Upstream's 9
# make a wrong checksum cost ten whole downloads.
IMAGE_RETRIES = 2
_TABLE_TRIES = 10
_TABLE_WAIT_S = 1


class ZsbmHardwareManager(hardware.HardwareManager):
    """In-band part of the hardware type `zsbm`."""

    HARDWARE_MANAGER_NAME = version.MANAGER_NAME
    HARDWARE_MANAGER_VERSION = version.IN_BAND_VERSION

    # Where /sys of the server hangs, and whether its kernel may mount the
    # image: it is the server's own.
    root = this_server.ROOT
    mounts = True

    def __init__(self) -> None:
        self._loaded_s = boot_report.uptime_s()
        # What was changed when the image was written.
        self._before: tuple[editing.Change, ...] = ()

    def evaluate_hardware_support(self) -> int:
        """Return the level that the agent reserves for other packages.

        Above its own managers, so that a step of ours wins over one of the
        same name; our steps are for any machine, so nothing is probed.
        """
        return hardware.HardwareSupport.SERVICE_PROVIDER

    def initialize(self) -> None:
        """Take out waits of the agent that wait for nothing.

        It tells the end of a step at once, not 5 s later, and gives up an
        image that stays wrong. Pauses after a failed heartbeat stay as they
        are, 5 to 10 s: many agents must not run down an API that has just
        come back. Where nobody says what inspection collects, it collects
        what images are judged by as well. From now on LLDP is listened for.
        """
        seen.LISTENER.start()
        names = config.INSPECTION_DEFAULT_COLLECTORS
        if inspection.COLLECTOR not in names.split(','):
            names += f',{inspection.COLLECTOR}'
            config.INSPECTION_DEFAULT_COLLECTORS = names
        if 'ipa-image-download-connection-retries' not in config.APARAMS:
            cfg.CONF.set_default(
                'image_download_connection_retries', IMAGE_RETRIES
            )
        beater = agent.IronicPythonAgentHeartbeater
        stretch = beater.min_heartbeat_interval / HEARTBEAT_PAUSE_S
        beater.min_heartbeat_interval = HEARTBEAT_PAUSE_S
        beater.min_error_jitter_multiplier *= stretch
        beater.max_error_jitter_multiplier *= stretch

    def write_image(
        self,
        node: dict[str, Any],
        ports: list[dict[str, Any]],
        image_info: dict[str, Any],
        configdrive: str | None = None,
    ) -> Any:
        """Write an image where the agent would fail late, or without a word.

        One that is larger than the disk is refused before the writing. For a
        config drive, an MBR with four partitions becomes a GPT.

        :raises DeploymentError: it is larger, or there is no room for the
            config drive.
        :raises IncompatibleHardwareMethodError: the agent's own manager
            writes it.
        """
        device = hardware.dispatch_to_managers('get_os_install_device')
        _check_size(image_info, device)
        self._before = ()
        if (
            not (configdrive or image_info.get('configdrive'))
            or image_info.get('image_type') == 'partition'
            or _may_not_adapt(node)
        ):
            raise errors.IncompatibleHardwareMethodError
        plain = {**image_info}
        drive = configdrive or plain['configdrive']
        plain.pop('configdrive', None)
        # Comes here once more, and goes on to the other managers.
        said = hardware.dispatch_to_managers('write_image', node, ports, plain)
        try:
            self._before = adapt.make_room_for_partition(
                pathlib.Path(device),
                # No kernel is added for a partition.
                supplies.Installed(lambda *_: None),
                mount=self.mounts,
            )
        except (exception.ZsbmError, OSError) as exc:
            raise errors.DeploymentError(str(exc)) from exc
        _read_table(device, self._before)
        partition_utils.create_config_drive_partition(
            image_info.get('node_uuid', 'local'), device, drive
        )
        return said

    def get_deploy_steps(
        self, node: dict[str, Any], ports: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return what the conductor may call; nothing runs by itself."""
        return [
            {
                'step': 'check_network',
                'priority': 0,
                'interface': 'deploy',
                'reboot_requested': False,
                'argsinfo': {
                    'mtu': {
                        'description': 'MTU of the network that the ramdisk '
                        'is in, bytes (default: packets of 1500 are tried)',
                        'required': False,
                    },
                    'wait_s': {
                        'description': 'Seconds to wait for LLDP that was '
                        'not heard yet (default: 0)',
                        'required': False,
                    },
                },
            },
            {
                'step': 'adapt_image',
                'priority': 0,
                'interface': 'deploy',
                'reboot_requested': False,
                'argsinfo': {
                    'macs': {
                        'description': 'MACs of the NICs that get the first '
                        'names of the network settings, in their order',
                        'required': True,
                    },
                    'hostname': {
                        'description': 'Name of the server: the image gets '
                        'an identity of its own (default: it keeps what it '
                        'has)',
                        'required': False,
                    },
                    'kits': {
                        'description': 'Kernels for hardware that are '
                        'served: url, sha256 and size_bytes of each by name '
                        '(default: none)',
                        'required': False,
                    },
                    'must_judge': {
                        'description': 'Fail where nobody can tell whether '
                        'the image boots (default: false)',
                        'required': False,
                    },
                },
            },
        ]

    def check_network(
        self,
        node: dict[str, Any],
        ports: list[dict[str, Any]],
        mtu: int | None = None,
        wait_s: float = 0,
    ) -> dict[str, Any]:
        """Tell what this server sees of its network; see `seen.network`."""
        return seen.network(mtu, wait_s)

    def adapt_image(
        self,
        node: dict[str, Any],
        ports: list[dict[str, Any]],
        macs: list[str],
        hostname: str | None = None,
        kits: dict[str, dict[str, Any]] | None = None,
        must_judge: bool = False,
    ) -> dict[str, Any]:
        """Make the image that was written boot on this server.

        :param macs: of the NICs that get the first names of the image's
            network settings.
        :param hostname: of the server whose identity the image gets; None
            keeps what it was captured with, as for a restore.
        :param kits: kernels for hardware that are served, see
            `served_kits.source`.
        :param must_judge: fail where nobody can tell whether it boots, as
            with Windows; else it is left as it is.
        :returns: what was changed and why, see `adapt.Report.data`; or
            `left_alone`, a text.
        :raises DeploymentError: it cannot boot here, and why.
        """
        device = hardware.dispatch_to_managers('get_os_install_device')
        wanted = this_server.hardware_of(device, macs, self.root)
        began_s = time.monotonic()
        try:
            with contextlib.ExitStack() as end:
                report = adapt.adapt(
                    pathlib.Path(device),
                    [wanted],
                    supplies.Installed(served_kits.source(kits or {}, end)),
                    mount=self.mounts,
                    hostname=None
                    if hostname is None
                    else identity.label(hostname),
                )
        except image_exception.NotJudged as exc:
            if must_judge:
                raise errors.DeploymentError(str(exc)) from exc
            return {'left_alone': str(exc)}
        except (exception.ZsbmError, OSError) as exc:
            raise errors.DeploymentError(str(exc)) from exc
        _read_table(device, report.changes)
        report = dataclasses.replace(
            report, changes=(*self._before, *report.changes)
        )
        return {
            **report.data(),
            'seconds': round(time.monotonic() - began_s, 1),
        }

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


def _check_size(image_info: dict[str, Any], device: str) -> None:
    length = image_size.length_of(image_info)
    if length is None:
        return
    sizes = {
        disk.name: disk.size
        for disk in hardware.dispatch_to_managers('list_block_devices')
    }
    if length > sizes.get(device, length):
        raise errors.DeploymentError(
            f'The image has {length} bytes and is larger than the disk '
            f'{device} with {sizes[device]}. Choose a larger disk by '
            'property root_device, or a smaller image.'
        )


def _may_not_adapt(node: dict[str, Any]) -> bool:
    value = switches.said(node.get('instance_info'), switches.ADAPT)
    return bool(value == switches.Choice.NEVER.value)


def _read_table(device: str, changes: Sequence[editing.Change]) -> None:
    """Have the kernel read a table that may be new.

    A new partition has a node then, before the boot entry is made. While udev
    still looks at a partition, the kernel refuses.
    """
    changed = {one.key for one in changes} & boot_loader.TABLE_CHANGES
    if not changed or not pathlib.Path(device).is_block_device():
        return
    for tries_left in reversed(range(_TABLE_TRIES)):
        process.run(['udevadm', 'settle'], timeout_s=60)
        done = process.run(
            ['blockdev', '--rereadpt', device],
            timeout_s=60,
            check=tries_left == 0,
        )
        if done.returncode == 0:
            break
        time.sleep(_TABLE_WAIT_S)
    process.run(['udevadm', 'settle'], timeout_s=60)
