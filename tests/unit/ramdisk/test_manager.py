# SPDX-License-Identifier: Apache-2.0
"""The hardware manager as the real agent finds, asks and calls it."""

import base64
import http.server
import io
import json
import pathlib
import sys
import tarfile
import threading
import time

import fixtures
from ironic_python_agent import agent, errors, hardware
from ironic_python_agent import config as _agent_options  # noqa: F401
from ironic_python_agent import utils as agent_code
from oslotest import base

from zsbm_ironic.common import process
from zsbm_ironic.ramdisk import boot_report, manager, seen, version


class ManagerInTheAgent(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        # The agent's own manager is left out: it would assemble the RAID
        # arrays of the machine that runs the tests.
        self.manager = manager.ZsbmHardwareManager()
        detail = {
            'name': type(self.manager).__name__,
            'manager': self.manager,
            'support': self.manager.evaluate_hardware_support(),
        }
        previous = hardware._global_managers
        self.addCleanup(setattr, hardware, '_global_managers', previous)
        hardware._global_managers = [detail]

    def test_the_agent_finds_it_by_entry_point(self):
        found = {
            extension.name: extension.obj
            for extension in hardware._get_extensions()
        }
        self.assertIsInstance(found['zsbm'], manager.ZsbmHardwareManager)

    def test_its_steps_win_over_those_of_the_agent(self):
        self.assertGreater(
            self.manager.evaluate_hardware_support(),
            hardware.HardwareSupport.MAINLINE,
        )

    def test_the_agent_reports_the_version_by_name(self):
        self.assertEqual(
            {version.MANAGER_NAME: version.IN_BAND_VERSION},
            hardware.get_current_versions(),
        )

    def test_what_it_does_not_define_goes_to_the_generic_manager(self):
        # These have a body in the agent's base class, which must not end
        # up as the answer for the whole machine.
        for method, arguments in (
            ('list_hardware_info', ()),
            ('erase_devices', ({}, [])),
            ('write_image', ({}, [], {})),
            ('full_sync', ()),
        ):
            self.assertRaises(
                hardware.errors.HardwareManagerMethodNotFound,
                hardware.dispatch_to_managers,
                method,
                *arguments,
            )

    def test_the_boot_report_is_in_the_archive_of_the_logs(self):
        files: dict[str, io.BytesIO] = {}
        hardware.dispatch_to_all_managers('collect_system_logs', files, [])
        packed = base64.b64decode(agent_code.gzip_and_b64encode(files))
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            report = json.load(archive.extractfile(manager.REPORT_NAME))
        moments = report['seconds_since_kernel_start']
        self.assertLessEqual(moments['agent_process'], moments['report'])
        self.assertLessEqual(moments['managers_loaded'], moments['report'])

    def test_it_loads_where_there_is_no_ironic(self):
        code = (
            'import sys; sys.modules["ironic"] = None; '
            'import ironic_python_agent.config; '
            'import zsbm_ironic.ramdisk.manager as m; '
            'print(m.ZsbmHardwareManager().get_version()["name"])'
        )
        done = process.run([sys.executable, '-c', code], timeout_s=60)
        self.assertEqual('zsbm', done.stdout.strip())


class Disks(hardware.HardwareManager):
    """One disk of 1,000 bytes; remembers whether it was written to."""

    written = False

    def evaluate_hardware_support(self):
        return hardware.HardwareSupport.GENERIC

    def get_os_install_device(self, permit_refresh=False):
        return '/dev/none'

    def list_block_devices(self, include_partitions=False):
        return [hardware.BlockDevice('/dev/none', 'm', 1000, False)]

    def write_image(self, node, ports, image_info, configdrive=None):
        self.written = True


class ImageServer(fixtures.Fixture):
    """Says how long an image is, or refuses to."""

    def __init__(self, length, status=200):
        super().__init__()
        self._length, self._status = length, status

    def _setUp(self):
        fixture = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.send_response(fixture._status)
                self.send_header('Content-Length', str(fixture._length))
                self.end_headers()

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f'http://127.0.0.1:{server.server_port}/image'


class ImageLargerThanTheDisk(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.disks = Disks()
        previous = hardware._global_managers
        self.addCleanup(setattr, hardware, '_global_managers', previous)
        hardware._global_managers = [
            {'name': str(found), 'manager': found, 'support': 1}
            for found in (manager.ZsbmHardwareManager(), self.disks)
        ]

    def _write(self, length, status=200, disk_format='raw'):
        server = self.useFixture(ImageServer(length, status))
        info = {'urls': [server.url], 'disk_format': disk_format}
        hardware.dispatch_to_managers('write_image', {}, [], info)

    def test_it_is_refused_before_the_writing(self):
        error = self.assertRaises(
            errors.DeploymentError, self._write, length=1001
        )
        for word in ('1001', '/dev/none', '1000', 'root_device'):
            self.assertIn(word, str(error))
        self.assertFalse(self.disks.written)

    def test_one_that_fits_is_written(self):
        self._write(length=1000)
        self.assertTrue(self.disks.written)

    def test_a_server_that_does_not_say_is_left_to_the_agent(self):
        self._write(length=1001, status=401)
        self.assertTrue(self.disks.written)

    def test_the_size_of_a_qcow2_says_nothing(self):
        self._write(length=1001, disk_format='qcow2')
        self.assertTrue(self.disks.written)


class Heartbeats(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        beater = agent.IronicPythonAgentHeartbeater
        for name in (
            'min_heartbeat_interval',
            'min_error_jitter_multiplier',
            'max_error_jitter_multiplier',
        ):
            self.addCleanup(setattr, beater, name, getattr(beater, name))
        # The NICs of the machine that runs the tests are left alone.
        self.patch(seen.LISTENER, 'start', lambda: None)
        manager.ZsbmHardwareManager().initialize()
        self.agent = Agent()
        self.beater = beater(self.agent)

    def test_the_end_of_a_step_is_told_within_two_seconds(self):
        self.beater.start()
        self.addCleanup(self.beater.stop)
        self.assertTrue(self.agent.beat.acquire(timeout=5))
        # The agent forgets a wish that comes while it is sending.
        while not self.beater.interval:
            time.sleep(0.01)
        ended = time.monotonic()
        self.beater.force_heartbeat()
        self.assertTrue(self.agent.beat.acquire(timeout=10))
        self.assertLess(time.monotonic() - ended, 2)

    def test_a_refused_heartbeat_is_not_repeated_sooner(self):
        self.agent.refuses = True
        self.beater.do_heartbeat()
        self.assertTrue(5 <= self.beater.interval <= 10)


class Agent:
    """The agent as far as its heartbeater sees it; its API is itself."""

    advertise_address = ('198.51.100.50', 9999)
    advertise_protocol = 'https'
    generated_cert = None
    heartbeat_timeout = 300
    api_urls = ('http://198.51.100.1:6385',)
    refuses = False

    def __init__(self):
        self.beat = threading.Semaphore(0)
        self.api_client = self

    def set_agent_advertise_addr(self):
        pass

    def get_node_uuid(self):
        return 'uuid-1'

    def heartbeat(self, **kwargs):
        if self.refuses:
            raise errors.HeartbeatConflictError('locked')
        self.beat.release()


class BootReport(base.BaseTestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.useFixture(fixtures.TempDir()).path)

    def _report(self):
        return boot_report.collect(1.0, root=self.root)

    def test_uefi_with_secure_boot(self):
        variable = self.root / boot_report.SECURE_BOOT
        variable.parent.mkdir(parents=True)
        variable.write_bytes(b'\x06\x00\x00\x00\x01')
        report = self._report()
        self.assertEqual(
            ('uefi', True), (report['firmware'], report['secure_boot'])
        )

    def test_bios(self):
        report = self._report()
        self.assertEqual(
            ('bios', None), (report['firmware'], report['secure_boot'])
        )

    def test_a_cable_that_is_not_plugged_in(self):
        self._nic('enp1s0', carrier='1', speed='10000')
        self._nic('enp2s0', carrier='0', speed='-1')
        up, down = self._report()['links']
        self.assertEqual((True, 10000), (up['carrier'], up['speed_mbps']))
        self.assertEqual((False, None), (down['carrier'], down['speed_mbps']))

    def test_interfaces_without_a_device_are_left_out(self):
        (self.root / 'sys/class/net/lo').mkdir(parents=True)
        self.assertEqual([], self._report()['links'])

    def _nic(self, name, carrier, speed):
        folder = self.root / 'sys/class/net' / name
        (folder / 'device').mkdir(parents=True)
        (folder / 'address').write_text('52:54:00:00:00:01\n')
        (folder / 'carrier').write_text(carrier + '\n')
        (folder / 'speed').write_text(speed + '\n')
