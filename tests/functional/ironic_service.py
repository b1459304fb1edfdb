# SPDX-License-Identifier: Apache-2.0
"""A real Ironic on loopback for functional tests: one process, SQLite.

::

    class TestPower(ironic_service.TestCase):
        options = {'zsbm_bmc': {'hold_sessions': 'false'}}

        def test_it(self):
            node = self.enrol('zsbm', bmc.driver_info())
            self.provide(node, 'manage', 'manageable')

Starting takes seconds, so one service is shared by the tests of a class. It
listens on a random port of 127.0.0.1 without authentication, and ends with
the class. Nodes that a test made are deleted after it.
"""

import configparser
import contextlib
import importlib.metadata
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import openstack
import requests
from oslotest import base
from testtools import content

from tests import bmcs

ADDRESS = '127.0.0.1'
STARTING_S = 120
STATE_S = 90
POLL_S = 0.2
BIN = pathlib.Path(sys.executable).parent

Options = dict[str, dict[str, str]]


def default_options(root, port):
    """Return what every service has; tests lay theirs over it."""
    return {
        'DEFAULT': {
            'auth_strategy': 'noauth',
            'rpc_transport': 'none',
            'host': 'functional',
            'my_ip': ADDRESS,
            'state_path': f'{root}/state',
            'tempdir': f'{root}/tmp',
            'log_file': f'{root}/ironic.log',
            'enabled_hardware_types': 'zsbm,ipmi,redfish,fake-hardware',
            'enabled_power_interfaces': 'zsbm,ipmitool,redfish,fake',
            'enabled_management_interfaces': 'zsbm,ipmitool,redfish,fake',
            'enabled_boot_interfaces': 'zsbm-pxe,zsbm-http,ipxe,pxe,'
            'redfish-virtual-media,fake',
            'enabled_deploy_interfaces': 'zsbm,direct,fake',
            'enabled_vendor_interfaces': 'zsbm,no-vendor,ipmitool,redfish',
            'enabled_bios_interfaces': 'no-bios,redfish',
            'enabled_console_interfaces': 'no-console,ipmitool-socat',
            'enabled_firmware_interfaces': 'no-firmware,redfish',
            'enabled_inspect_interfaces': 'agent,redfish,no-inspect',
            'enabled_network_interfaces': 'noop',
            'enabled_raid_interfaces': 'no-raid,agent,redfish',
            'enabled_rescue_interfaces': 'agent,no-rescue',
            'enabled_storage_interfaces': 'noop',
            'default_network_interface': 'noop',
        },
        'api': {'host_ip': ADDRESS, 'port': str(port), 'api_workers': '1'},
        'conductor': {
            'sync_power_state_interval': '3600',
            'automated_clean': 'false',
            'deploy_kernel': f'file://{root}/kernel',
            'deploy_ramdisk': f'file://{root}/ramdisk',
            'rescue_kernel': f'file://{root}/kernel',
            'rescue_ramdisk': f'file://{root}/ramdisk',
            'file_url_allowed_paths': str(root),
        },
        'console': {'terminal_pid_dir': f'{root}/console'},
        'database': {'connection': f'sqlite:///{root}/ironic.sqlite'},
        'deploy': {
            'http_root': f'{root}/httpboot',
            'http_url': f'http://{ADDRESS}:1',
        },
        'dhcp': {'dhcp_provider': 'none'},
        'ipmi': {'min_command_interval': '1'},
        'oslo_concurrency': {'lock_path': f'{root}/lock'},
        'pxe': {
            'images_path': f'{root}/images',
            'instance_master_path': f'{root}/master_images',
            'tftp_root': f'{root}/tftpboot',
            'tftp_master_path': f'{root}/tftp_master_images',
        },
        'redfish': {'use_swift': 'false'},
        'sensor_data': {'send_sensor_data': 'false'},
        'service_catalog': {
            'auth_type': 'none',
            'endpoint_override': f'http://{ADDRESS}:{port}',
        },
        'zsbm_netboot': {
            'desired_dir': f'{root}/netboot/desired',
            'status_dir': f'{root}/netboot/status',
            'timeline_dir': f'{root}/timeline',
        },
    }


def environment():
    """Return this process's environment with the tests' commands in PATH."""
    return {**os.environ, 'PATH': f'{BIN}{os.pathsep}{os.environ["PATH"]}'}


class Ironic:
    """One service: its folder, its process and clients for its API.

    :ivar bin: where its programs are: another environment for other code.
    :ivar headers: of the question whether it is up: a token, where its API
        asks for one.
    :ivar starting_s: seconds that it may take to start.
    """

    bin = BIN
    starting_s = STARTING_S

    def __init__(self, options=None):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='zsbm-functional-'))
        self.port = bmcs.free_port()
        self.url = f'http://{ADDRESS}:{self.port}'
        self.process = None
        self.headers = {'X-OpenStack-Ironic-API-Version': 'latest'}
        self.configure(options or {})

    def configure(self, options):
        """Write ironic.conf; takes effect at the next start."""
        merged = default_options(self.root, self.port)
        for section, values in options.items():
            merged.setdefault(section, {}).update(values)
        parser = configparser.RawConfigParser(default_section='none of them')
        parser.read_dict(merged)
        self.config_file = self.root / 'ironic.conf'
        with self.config_file.open('w') as out:
            parser.write(out)

    def start(self):
        """Start it and wait for its API; the database is made once."""
        self.make_database()
        with (self.root / 'out').open('ab') as out:
            self.process = subprocess.Popen(
                [
                    *(str(self.bin / 'ironic'), '--config-file'),
                    str(self.config_file),
                ],
                stdout=out,
                stderr=out,
                env=environment(),
                start_new_session=True,
            )
        self._wait_for_conductor()
        self.client = openstack.connect(
            auth_type='none',
            endpoint_override=self.url,
            baremetal_endpoint_override=self.url,
            baremetal_api_version='1',
            load_envvars=False,
            load_yaml_config=False,
        ).baremetal

    def make_database(self):
        """Make folders, schema and what images there have to be, once."""
        for folder in ('state', 'tmp', 'lock', 'httpboot', 'tftpboot'):
            (self.root / folder).mkdir(exist_ok=True)
        for empty in ('kernel', 'ramdisk'):
            (self.root / empty).touch()
        if not (self.root / 'ironic.sqlite').exists():
            self._make_schema()

    def _make_schema(self):
        """Make the schema, or copy one that an earlier service made."""
        made = self.root / 'ironic.sqlite'
        kept = pathlib.Path(tempfile.gettempdir()) / (
            f'zsbm-schema-{importlib.metadata.version("ironic")}'
            f'-{os.getuid()}.sqlite'
        )
        if kept.exists() and kept.stat().st_uid == os.getuid():
            shutil.copyfile(kept, made)
            return
        done = subprocess.run(
            [
                *(str(self.bin / 'ironic-dbsync'), '--config-file'),
                *(str(self.config_file), 'create_schema'),
            ],
            capture_output=True,
            text=True,
            timeout=STARTING_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        draft = kept.with_suffix(f'.{os.getpid()}')
        shutil.copyfile(made, draft)
        draft.rename(kept)

    def _wait_for_conductor(self):
        deadline = time.monotonic() + self.starting_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(requests.RequestException):
                answer = requests.get(
                    f'{self.url}/v1/drivers',
                    headers=self.headers,
                    timeout=5,
                )
                if answer.ok and answer.json()['drivers']:
                    return
            time.sleep(POLL_S)
        raise TimeoutError(f'ironic did not start:\n{self.log()[-3000:]}')

    def stop(self, hard=False):
        """End it as an operator does, or at once as a crash does."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        try:
            self.process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None

    def remove(self):
        """End it and delete its folder."""
        self.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def log(self):
        """Return what it logged so far, start-up failures included."""
        return ''.join(
            path.read_text(errors='replace')
            for path in (self.root / 'out', self.root / 'ironic.log')
            if path.exists()
        )

    def baremetal(self, *words):
        """Run the `baremetal` command; return (exit status, its output)."""
        done = subprocess.run(
            [str(BIN / 'baremetal'), *words],
            capture_output=True,
            text=True,
            timeout=STATE_S,
            check=False,
            env={
                **environment(),
                'OS_AUTH_TYPE': 'none',
                'OS_ENDPOINT': self.url,
            },
        )
        return done.returncode, done.stdout + done.stderr


class TestCase(base.BaseTestCase):
    """A test against a service that its class shares.

    :cvar options: laid over `default_options`.
    """

    options: Options = {}
    ironic: Ironic

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ironic = Ironic(cls.options)
        cls.addClassCleanup(cls.ironic.remove)
        cls.start_ironic()

    @classmethod
    def start_ironic(cls):
        """Start the service: a class may have it know more before."""
        cls.ironic.start()

    def setUp(self):
        super().setUp()
        # Each poll of a node would be two lines of a failure's report.
        for noisy in ('keystoneauth', 'urllib3', 'openstack'):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        self.api = self.ironic.client
        self.addOnException(self._keep_log)

    def _keep_log(self, _exc_info):
        self.addDetail(
            'ironic.log',
            content.text_content(self.ironic.log()[-20000:]),
        )

    def enrol(self, driver, driver_info, **fields):
        """Create a node in state enroll; return its uuid."""
        node = self.api.create_node(
            driver=driver, driver_info=driver_info, **fields
        )
        self.addCleanup(self._delete, node.id)
        return node.id

    def _delete(self, node):
        with contextlib.suppress(openstack.exceptions.SDKException):
            self.api.set_node_maintenance(node)
        self.api.delete_node(node)

    def manage(self, node):
        """Bring a node to manageable; return it."""
        self.api.set_node_provision_state(node, 'manage')
        return self.wait_for(node, 'manageable')

    def wait_for(self, node, *states, seconds=STATE_S):
        """Wait for one of some provision states; return the node."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.api.get_node(node)
            if found.provision_state in states:
                return found
            settled = not found.target_provision_state
            if time.monotonic() > deadline or (settled and found.last_error):
                self.fail(
                    f'{found.provision_state} instead of {states}: '
                    f'{found.last_error}'
                )
            time.sleep(POLL_S)

    def fails_to_manage(self, node, seconds=60):
        """Try `manage`; return last_error once the node is back in enroll."""
        self.api.set_node_provision_state(node, 'manage')
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.api.get_node(node)
            if found.provision_state == 'enroll' and found.last_error:
                return found.last_error
            self.assertNotEqual('manageable', found.provision_state)
            time.sleep(POLL_S)
        self.fail(f'no error within {seconds} s')

    def power(self, node, target, seconds=STATE_S):
        """Ask for a power state and wait until Ironic has done it."""
        self.api.set_node_power_state(node, target)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = self.api.get_node(node)
            if not found.target_power_state:
                return found
            time.sleep(POLL_S)
        self.fail(f'power state {target} not reached in {seconds} s')

    def history(self, node):
        """Return the events of a node's history, oldest first."""
        answer = self.api.get(
            f'/nodes/{node}/history?detail=true', microversion='1.78'
        )
        openstack.exceptions.raise_from_response(answer)
        return [event['event'] for event in answer.json()['history']]
