# SPDX-License-Identifier: Apache-2.0
"""A real ironic-python-agent on loopback that cannot touch this machine.

Run as a program by `Agent`, below. Lookup, heartbeats, command queue and the
handling of deploy steps are the agent's own; the hardware manager and the
commands that would write to disks or power off are ones that only remember.
Powering off ends the process.
"""

import argparse
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
import types

import fixtures

from zsbm_ironic.image import hardware

STARTING_S = 60
REPOSITORY = pathlib.Path(__file__).parents[2]


class Agent(fixtures.Fixture):
    """The agent of one machine, running from power-on to power-off.

    :param mac: of the node's port, by which the agent is looked up.
    :param in_band: version of our in-band part; None: a stock ramdisk.
    :param write_s: how long the writing of an image seems to take.
    :param fault: how the writing fails: checksum, disk-full or no-disk.
    :param disk: raw disk with what was written, None: an empty one.
    :param switch_port: chassis id, a MAC address, and port id of the switch
        that its NIC hears by LLDP.
    :ivar drive_path: where the config drive is, if one was written.
    :param on_power_off: called when the agent powered its machine off.
    """

    def __init__(
        self,
        ironic,
        mac,
        in_band='',
        write_s=0.5,
        fault=None,
        disk=None,
        switch_port=None,
        on_power_off=None,
    ):
        super().__init__()
        self._switch_port = switch_port
        self._write_s, self._fault, self._disk = write_s, fault, disk
        self._ironic, self._mac = ironic, mac
        self._in_band, self._on_power_off = in_band, on_power_off

    def _setUp(self):
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.log_path = folder / 'agent.log'
        words = ['--api-url', self._ironic.url, '--mac', self._mac]
        words += ['--write-s', str(self._write_s)]
        # A server with BIOS and SATA, as far as /sys tells.
        server = folder / 'server'
        disk = self._disk or folder / 'disk.raw'
        if self._disk is None:
            disk.write_bytes(bytes(1 << 20))
        block = server / 'sys/class/block' / disk.name
        block.mkdir(parents=True)
        (block / 'modalias').write_text(hardware.PROFILES['bios-sata'].disk[0])
        words += ['--root', str(server), '--disk', str(disk)]
        self.drive_path = folder / 'drive'
        words += ['--drive', str(self.drive_path)]
        if self._fault:
            words += ['--fault', self._fault]
        if self._switch_port:
            words += ['--switch-port', *self._switch_port]
        if self._in_band is None:
            words.append('--stock')
        elif self._in_band:
            words += ['--in-band', self._in_band]
        with self.log_path.open('wb') as sink:
            self._child = subprocess.Popen(
                [sys.executable, '-m', 'tests.functional.agent_process']
                + words,
                stdout=sink,
                stderr=sink,
                cwd=REPOSITORY,
                start_new_session=True,
            )
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        self.addCleanup(self.end)

    def _watch(self):
        if self._child.wait() == 0 and self._on_power_off:
            self._on_power_off()

    def end(self):
        """Cut the power."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._watcher.join(10)

    def log(self):
        """Return what the agent logged."""
        return self.log_path.read_text(errors='replace')


def main():
    """Run the agent until it is told to power off."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--api-url', required=True)
    parser.add_argument('--mac', required=True)
    parser.add_argument('--in-band')
    parser.add_argument('--write-s', type=float)
    parser.add_argument('--fault')
    parser.add_argument('--root', type=pathlib.Path)
    parser.add_argument('--disk')
    parser.add_argument('--drive', type=pathlib.Path)
    parser.add_argument('--switch-port', nargs=2)
    parser.add_argument('--stock', action='store_true')
    arguments = parser.parse_args()

    # Only here: the fixture runs in the process of ironic's client.
    from ironic_python_agent import agent, errors
    from ironic_python_agent import hardware as agent_hardware
    from ironic_python_agent.extensions import base, deploy
    from oslo_config import cfg
    from oslo_log import log

    from tests import bmcs
    from zsbm_ironic.ramdisk import manager

    faults = {
        'checksum': errors.ImageChecksumError(
            'image.raw', '/dev/sda', 'aaaa', 'bbbb'
        ),
        'disk-full': errors.ImageDownloadError(
            'image.raw',
            'Unable to write image to device /dev/sda. Error: '
            '[Errno 28] No space left on device',
        ),
        'no-disk': errors.DeviceNotFound(
            "No suitable device was found for deployment using {'size': 9}"
        ),
    }

    class Machine(agent_hardware.HardwareManager):
        HARDWARE_MANAGER_NAME = 'generic_hardware_manager'
        HARDWARE_MANAGER_VERSION = '1.2'

        def evaluate_hardware_support(self):
            return agent_hardware.HardwareSupport.GENERIC

        def list_network_interfaces(self):
            # A NIC that each machine has, for its MTU is looked up.
            return [
                agent_hardware.NetworkInterface(
                    'lo', arguments.mac, has_carrier=True
                )
            ]

        def collect_lldp_data(self, interface_names=None):
            if not arguments.switch_port:
                return {}
            # IEEE 802.1AB: a MAC address, the name of an interface.
            chassis, port = arguments.switch_port
            heard = [
                (1, '04' + chassis.replace(':', '')),
                (2, '05' + port.encode().hex()),
            ]
            return dict.fromkeys(interface_names, heard)

        def list_hardware_info(self):
            return {'interfaces': self.list_network_interfaces()}

        def wait_for_disks(self):
            pass

        def list_block_devices(self, **kwargs):
            return [
                agent_hardware.BlockDevice('/dev/sda', 'disk', 1 << 30, False)
            ]

        def get_os_install_device(self, **kwargs):
            # Never a disk of this machine: the image on it is adapted.
            return arguments.disk

        def get_deploy_steps(self, node, ports):
            step = {
                'step': 'write_image',
                'interface': 'deploy',
                'priority': 0,
                'reboot_requested': False,
            }
            return [step]

        def write_image(self, node, ports, image_info, configdrive=None):
            time.sleep(arguments.write_s)
            if arguments.fault:
                raise faults[arguments.fault]
            if configdrive:
                arguments.drive.write_text(configdrive)
            return 'nothing was written'

    class Standby(base.BaseAgentExtension):
        @base.sync_command('get_partition_uuids')
        def get_partition_uuids(self):
            return {}

        @base.async_command('power_off')
        def power_off(self):
            threading.Timer(1, os._exit, [0]).start()

    class Image(base.BaseAgentExtension):
        @base.async_command('install_bootloader')
        def install_bootloader(self, **kwargs):
            time.sleep(0.5)

    class Rescue(base.BaseAgentExtension):
        @base.sync_command('finalize_rescue')
        def finalize_rescue(self, **kwargs):
            pass

    conf = cfg.CONF
    log.register_options(conf)
    conf([], project='zsbm-test-agent', default_config_files=[])
    conf.set_override('debug', True)
    log.setup(conf, 'agent')
    port = bmcs.free_port()
    for option, value in {
        'api_url': arguments.api_url,
        'advertise_host': bmcs.ADDRESS,
        'advertise_port': port,
        'listen_host': bmcs.ADDRESS,
        'listen_port': port,
        'enable_auto_tls': False,
    }.items():
        conf.set_override(option, value)

    def none_of_the_agent():
        raise AssertionError('its own managers would write to this machine')

    managers = [Machine()]
    if not arguments.stock:
        ours = manager.ZsbmHardwareManager()
        ours.root, ours.mounts = arguments.root, False
        if arguments.in_band:
            ours.HARDWARE_MANAGER_VERSION = arguments.in_band
        managers.insert(0, ours)
    # Before a thread of ours asks for managers: whoever finds none loads all
    # that are installed, and those of the agent wipe disks.
    agent_hardware._get_extensions = none_of_the_agent
    agent_hardware._global_managers = [
        {
            'name': type(found).__name__,
            'manager': found,
            'support': found.evaluate_hardware_support(),
        }
        for found in managers
    ]
    for found in managers:
        found.initialize()
    process = agent.IronicPythonAgent.from_config(conf)
    process.ext_mgr = {
        name: types.SimpleNamespace(obj=extension(process))
        for name, extension in (
            ('deploy', deploy.DeployExtension),
            ('standby', Standby),
            ('image', Image),
            ('rescue', Rescue),
        )
    }
    process.run()


if __name__ == '__main__':
    # Registers the agent's options, which its other modules read on import.
    from ironic_python_agent import config  # noqa: F401

    main()
