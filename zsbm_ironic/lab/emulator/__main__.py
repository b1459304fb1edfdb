# SPDX-License-Identifier: Apache-2.0
"""``python -m zsbm_ironic.lab.emulator CONFIG.json``: one emulated BMC.

Writes the ready file once it answers, and runs until SIGTERM or SIGINT. The
machine is left as it is then, unless `kill_machine_on_exit` is set; the next
start of the emulator finds it again.
"""

import argparse
import json
import logging
import os
import pathlib
import signal
import sys
import threading

from zsbm_ironic import machine as machine_room
from zsbm_ironic.common import exception, whole_file
from zsbm_ironic.lab.emulator import config as configs
from zsbm_ironic.lab.emulator import control
from zsbm_ironic.lab.emulator import service as services

LOG = logging.getLogger('zsbm_ironic.lab.emulator')


def main() -> int:
    """Serve until told to stop; return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m zsbm_ironic.lab.emulator', description=__doc__
    )
    parser.add_argument('config', type=pathlib.Path)
    parser.add_argument('--debug', action='store_true')
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.DEBUG if arguments.debug else logging.INFO,
        format='%(asctime)s %(levelname)s %(name)s %(message)s',
    )
    # Handled, not blocked: QEMU would inherit the mask and ignore SIGTERM.
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        config = configs.load(arguments.config)
        config.state_dir.mkdir(parents=True, exist_ok=True)
        service = services.from_config(config)
    except (exception.ZsbmError, OSError) as exc:
        sys.stderr.write(f'{exc}\n')
        return 1
    controller = control.Server(config.control_path, control.of_one(service))
    try:
        _report_ready(config, service)
        ending.wait()
        LOG.info('Told to end')
    finally:
        config.ready_path.unlink(missing_ok=True)
        controller.stop()
        service.stop()
    if config.kill_machine_on_exit and config.machine is not None:
        machine_room.Machine(config.machine).kill()
    return 0


def _report_ready(config: configs.Config, service: services.Service) -> None:
    report = {
        'pid': os.getpid(),
        'control_socket': str(config.control_path),
        **service.status(),
    }
    whole_file.write(config.ready_path, json.dumps(report, indent=2) + '\n')
    LOG.info('%s is ready: %s', config.name, json.dumps(report))


if __name__ == '__main__':
    sys.exit(main())
