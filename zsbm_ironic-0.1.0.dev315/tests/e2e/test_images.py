# SPDX-License-Identifier: Apache-2.0
"""What was built starts: ramdisk to its agent, OS image on each firmware.

Real machines, one after the other, without lab and Ironic: so that a failed
boot in a lab can be told from an image that does not boot. Needs root (the
images are built where they are not cached) and genisoimage.
"""

import http.server
import json
import pathlib
import socket
import threading
import time

import fixtures
import testtools

from zsbm_ironic.common import artifacts, process
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.images import os_image, ramdisk
from zsbm_ironic.machine import machine, spec

BOOT_LIMIT_S = 400
DISK_BYTES = 4 << 30
CONFIG_DRIVE_BYTES = 64 << 20
MAC = '52:54:00:5a:7e:01'
# What QEMU's user network calls the host.
HOST = '10.0.2.2'
USER_DATA = '#!/bin/sh\necho e2e-marker >/root/marker\n'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class ImageTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.cache = artifacts.Artifacts(
            layout.Layout.from_environment().cache
        )

    def start(self, **changes):
        found = machine.Machine(
            spec.MachineSpec(
                name='image-test', state_dir=self.folder, **changes
            )
        )
        self.addCleanup(found.kill)
        found.start()
        return found

    def wait_for(self, text):
        log = self.folder / 'serial.log'
        end = time.monotonic() + BOOT_LIMIT_S
        while time.monotonic() < end:
            if log.exists() and text in log.read_text(errors='replace'):
                return
            time.sleep(0.5)
        tail = log.read_text(errors='replace')[-2000:]
        self.fail(f'{text!r} was not said in {BOOT_LIMIT_S} s:\n{tail}')


class TestRamdisk(ImageTest):
    def test_the_agent_asks_the_api_for_its_node(self):
        asked = threading.Event()
        paths = []

        class Api(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                paths.append(self.path)
                if self.path.startswith('/v1/lookup'):
                    asked.set()
                self.send_error(404)

            def log_message(self, *words):
                pass

        server = http.server.HTTPServer(('127.0.0.1', 0), Api)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        built = ramdisk.build(self.cache)
        address = f'http://{HOST}:{server.server_port}'
        words = f'{ramdisk.KERNEL_PARAMETERS} ipa-api-url={address}'
        self.start(
            firmware=spec.Firmware.BIOS,
            nics=(spec.Nic('e1000e', MAC, netdev='user'),),
            extra_arguments=(
                '-kernel',
                str(built.kernel),
                '-initrd',
                str(built.initramfs),
                '-append',
                words,
            ),
        )
        self.assertTrue(asked.wait(BOOT_LIMIT_S), paths)
        self.assertIn(
            'zsbm_ironic.ramdisk.manager:ZsbmHardwareManager',
            (self.folder / 'serial.log').read_text(errors='replace'),
        )


class TestOsImage(ImageTest):
    def make_disk(self):
        """Write the image and a config drive as a deploy does."""
        disk = self.folder / 'disk.raw'
        built = os_image.build(self.cache)
        process.run(
            ['qemu-img', 'convert', '-O', 'raw', built.path, disk],
            timeout_s=120,
        )
        with disk.open('r+b') as sink:
            sink.truncate(DISK_BYTES)
        process.run(['sgdisk', '-e', disk], timeout_s=60)
        process.run(['sgdisk', '-n', '0:-64MB:0', disk], timeout_s=60)
        table = json.loads(
            process.run(['sfdisk', '-J', disk], timeout_s=60).stdout
        )
        last = table['partitiontable']['partitions'][-1]
        with disk.open('r+b') as sink:
            sink.seek(int(last['start']) * 512)
            sink.write(self.config_drive())
        return disk

    def config_drive(self):
        latest = self.folder / 'drive' / 'openstack' / 'latest'
        latest.mkdir(parents=True)
        process.run(
            ['ssh-keygen', '-q', '-t', 'ed25519', '-N', '']
            + ['-f', str(self.folder / 'key')],
            timeout_s=60,
        )
        key = (self.folder / 'key.pub').read_text()
        meta = {'hostname': 'web-1.example.org', 'public_keys': {'k': key}}
        (latest / 'meta_data.json').write_text(json.dumps(meta))
        (latest / 'user_data').write_text(USER_DATA)
        image = self.folder / 'drive.iso'
        process.run(
            ['genisoimage', '-quiet', '-J', '-r', '-V', 'config-2']
            + ['-o', str(image), str(self.folder / 'drive')],
            timeout_s=60,
        )
        return image.read_bytes()

    def ssh(self, port, *words):
        options = ['BatchMode=yes', 'StrictHostKeyChecking=no']
        options += ['UserKnownHostsFile=/dev/null', 'ConnectTimeout=60']
        argv = ['ssh', '-i', self.folder / 'key', '-p', str(port)]
        argv += [f'-o{option}' for option in options]
        done = process.run([*argv, 'root@127.0.0.1', *words], timeout_s=120)
        return done.stdout.strip()

    def check(self, firmware, bus):
        port = free_port()
        forward = f'user,hostfwd=tcp:127.0.0.1:{port}-:22'
        self.start(
            firmware=firmware,
            disks=(spec.Disk(bus, self.make_disk(), 'raw'),),
            nics=(spec.Nic('e1000e', MAC, boot_rom=False, netdev=forward),),
        )
        self.wait_for(f'{os_image.READY_MARKER} web-1 ')
        self.assertEqual('e2e-marker', self.ssh(port, 'cat /root/marker'))
        size_bytes = int(self.ssh(port, 'df --output=size -B1 / | tail -n1'))
        self.assertGreater(size_bytes, 3 << 30)
        self.assertEqual('', self.ssh(port, 'systemctl --failed -q'))
        return port

    def test_bios_and_sata(self):
        self.check(spec.Firmware.BIOS, 'sata')

    def test_uefi_and_nvme(self):
        self.check(spec.Firmware.UEFI, 'nvme')

    def test_secure_boot(self):
        port = self.check(spec.Firmware.UEFI_SECUREBOOT, 'nvme')
        self.assertIn(
            'Secure boot enabled', self.ssh(port, 'dmesg | grep secureboot')
        )
