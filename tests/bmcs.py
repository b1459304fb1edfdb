# SPDX-License-Identifier: Apache-2.0
"""BMCs that we did not write, for tests: pyghmi's and sushy-tools', as is.

`PyghmiBmc` is `pyghmi.ipmi.bmc.Bmc` with the callbacks that it leaves to its
user; it answers with SHA-1 whatever it is asked. `SushyToolsBmc` is the
`sushy-emulator` program with its fake driver, over HTTPS with a certificate as
from a factory: self-signed, for a name that is not its address. `LossyUdp`
sits before any IPMI BMC and loses packets.
"""

import datetime
import pathlib
import random
import resource
import select
import socket
import subprocess
import sys
import threading
import time

import bcrypt
import fixtures
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyghmi.ipmi import bmc as pyghmi_bmc
from pyghmi.ipmi import command as ipmi_command

from zsbm_ironic.bmc import trust

ADDRESS = '127.0.0.1'
USER = 'admin'
PASSWORD = 'metal-secret'
STARTING_S = 30
EMULATOR = pathlib.Path(sys.executable).parent / 'sushy-emulator'


def free_port(kind=socket.SOCK_STREAM):
    """Return a port of loopback that nobody has at the moment."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((ADDRESS, 0))
        return sock.getsockname()[1]


def allow_files(wanted):
    """Let this process open so many files; return what it was allowed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = before
    wanted = max(soft, min(hard, wanted))
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return before


class _Bmc(pyghmi_bmc.Bmc):
    """The callbacks that pyghmi asks its user for, in memory."""

    def __init__(self, port, address=ADDRESS):
        super().__init__({USER: PASSWORD}, port=port, address=address)
        self.power = 'off'
        self.boot_device = 'default'
        self.actions = []
        self.boot_flags = []

    def set_system_boot_options(self, request, session):
        """Note boot flags; take selectors that pyghmi has no name for."""
        data = bytes(request['data'])
        if data[0] == 5:
            self.boot_flags.append(data[1:3])
            if (data[2] >> 2) & 15 not in ipmi_command.boot_devices:
                session.send_ipmi_response()
                return
        super().set_system_boot_options(request, session)

    def get_power_state(self):
        return self.power

    def _act(self, name, power):
        self.actions.append(name)
        self.power = power

    def power_on(self):
        self._act('on', 'on')

    def power_off(self):
        self._act('off', 'off')

    def power_reset(self):
        self._act('reset', self.power)

    def power_shutdown(self):
        self._act('soft', 'off')

    def pulse_diag(self):
        self._act('diag', self.power)

    def get_boot_device(self):
        return self.boot_device

    def set_boot_device(self, bootdevice):
        self.actions.append(f'boot {bootdevice}')
        self.boot_device = bootdevice


class PyghmiBmc(fixtures.Fixture):
    """pyghmi's BMC in a thread of this process.

    :ivar machine: power, boot_device, actions (in the order of arrival).
    """

    _listening = False

    def __init__(self, port=None):
        super().__init__()
        self.port = port

    def _setUp(self):
        self.port = self.port or free_port(socket.SOCK_DGRAM)
        self.machine = _Bmc(self.port)
        if not PyghmiBmc._listening:
            PyghmiBmc._listening = True
            threading.Thread(
                target=_Bmc.listen, args=(0.1,), daemon=True
            ).start()

    def driver_info(self, **changes):
        """Return the keys that enrol it."""
        return {
            'bmc_address': ADDRESS,
            'bmc_port': self.port,
            'bmc_protocol': 'ipmi',
            'bmc_username': USER,
            'bmc_password': PASSWORD,
            **changes,
        }


class LossyUdp(fixtures.Fixture):
    """A UDP relay that loses packets, both ways, always the same ones.

    :ivar loss: share of the packets that are lost, 0.0 to 1.0.
    :ivar refuse: callable(packet from the client) that says "lose this one".
    """

    def __init__(self, port, loss=0.0, seed=1):
        super().__init__()
        self.target = (ADDRESS, port)
        self.loss = loss
        self.refuse = lambda packet: False
        self._random = random.Random(seed)  # noqa: S311
        self._clients = {}

    def _setUp(self):
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind((ADDRESS, 0))
        self.port = self._front.getsockname()[1]
        self._running = True
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()
        self.addCleanup(self._stop)

    def _stop(self):
        self._running = False
        self._thread.join()
        for sock in (self._front, *self._clients.values()):
            sock.close()

    def _relay(self):
        while self._running:
            sockets = [self._front, *self._clients.values()]
            for sock in select.select(sockets, [], [], 0.1)[0]:
                packet, sender = sock.recvfrom(4096)
                if self._random.random() < self.loss:
                    continue
                if sock is not self._front:
                    peer = next(
                        p for p, s in self._clients.items() if s is sock
                    )
                    self._front.sendto(packet, peer)
                elif not self.refuse(packet):
                    back = self._clients.get(sender)
                    if back is None:
                        back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                        back.bind((ADDRESS, 0))
                        self._clients[sender] = back
                    back.sendto(packet, self.target)


def make_certificate(directory, name='bmc-factory-0001', san=None):
    """Write cert.pem and key.pem, self-signed; return the fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
    )
    if san is not None:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([san]), critical=False
        )
    made = builder.sign(key, hashes.SHA256())
    directory = pathlib.Path(directory)
    (directory / 'cert.pem').write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
    )
    (directory / 'key.pem').write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made.fingerprint(hashes.SHA256()).hex()


class SushyToolsBmc(fixtures.Fixture):
    """`sushy-emulator --fake` over HTTPS.

    :ivar fingerprint: of its certificate, 64 hex digits.
    """

    def __init__(self, san=None):
        super().__init__()
        self.san = san
        self.process = None

    def _setUp(self):
        self.directory = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.port = free_port()
        digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (self.directory / 'users').write_text(f'{USER}:{digest}\n')
        (self.directory / 'emulator.conf').write_text(
            f'SUSHY_EMULATOR_AUTH_FILE = {str(self.directory / "users")!r}\n'
            f'SUSHY_EMULATOR_STATE_DIR = {str(self.directory)!r}\n'
        )
        self.renew_certificate()
        self.start()
        self.addCleanup(self.stop)

    def renew_certificate(self):
        """Make another certificate; shown after the next start."""
        self.fingerprint = make_certificate(self.directory, san=self.san)

    def start(self):
        """Start the program and wait until it serves."""
        log = (self.directory / 'log').open('ab')
        with log:
            self.process = subprocess.Popen(
                [
                    str(
                        pathlib.Path(sys.executable).parent / 'sushy-emulator'
                    ),
                    *('--fake', '-i', ADDRESS, '-p', str(self.port)),
                    *('--config', str(self.directory / 'emulator.conf')),
                    *('--ssl-certificate', str(self.directory / 'cert.pem')),
                    *('--ssl-key', str(self.directory / 'key.pem')),
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + STARTING_S
        while time.monotonic() < deadline:
            try:
                return trust.certificate_of(ADDRESS, self.port, 2)
            except OSError:
                time.sleep(0.1)
        raise TimeoutError((self.directory / 'log').read_text()[-2000:])

    def stop(self):
        """End the program; nobody answers afterwards."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def driver_info(self, **changes):
        """Return the keys that enrol it, its certificate pinned."""
        return {
            'bmc_address': ADDRESS,
            'bmc_port': self.port,
            'bmc_username': USER,
            'bmc_password': PASSWORD,
            'bmc_cert_fingerprint': f'sha256:{self.fingerprint}',
            **changes,
        }
