# SPDX-License-Identifier: Apache-2.0
"""LLDP at each NIC by itself, and answers to packets that were sent."""

import threading
import time

from ironic_python_agent import config as _agent_options  # noqa: F401
from ironic_python_agent import hardware
from oslotest import base

from zsbm_ironic.ramdisk import seen

TLVS = [(2, '0573777031')]


class Manager(hardware.HardwareManager):
    """NICs, some of which hear nothing (None)."""

    def __init__(self, heard):
        self._heard = heard
        self.end = threading.Event()

    def evaluate_hardware_support(self):
        return hardware.HardwareSupport.SERVICE_PROVIDER

    def list_network_interfaces(self):
        return [
            hardware.NetworkInterface(name, '52:54:00:00:00:01')
            for name in self._heard
        ]

    def collect_lldp_data(self, interface_names=None):
        # As the agent's: it returns when all of them were heard.
        for name in interface_names:
            if self._heard[name] is None:
                self.end.wait()
        return {name: self._heard[name] or [] for name in interface_names}


class ListenerTest(base.BaseTestCase):
    def listener(self, **heard):
        manager = Manager(heard)
        self.addCleanup(manager.end.set)
        previous = hardware._global_managers
        self.addCleanup(setattr, hardware, '_global_managers', previous)
        hardware._global_managers = [
            {'name': 'm', 'manager': manager, 'support': 3}
        ]
        listener = seen.Listener()
        listener.start()
        return listener

    def test_a_silent_nic_hides_no_other(self):
        listener = self.listener(eth0=None, eth1=TLVS, eth2=None, eth3=None)
        began = time.monotonic()
        self.assertEqual({'eth1': TLVS}, listener.heard(1))
        # They are waited for together.
        self.assertLess(time.monotonic() - began, 2.5)

    def test_all_were_heard(self):
        listener = self.listener(eth0=TLVS, eth1=TLVS)
        listener.start()
        self.assertEqual({'eth0': TLVS, 'eth1': TLVS}, listener.heard(60))

    def test_nobody_listens(self):
        self.assertEqual({}, seen.Listener().heard(60))


class Refusing:
    """A socket that is told that nobody passes its packet on."""

    def __init__(self, error):
        self._error = error
        self.sent = 0

    def send(self, _message):
        self.sent += 1

    def settimeout(self, _timeout_s):
        pass

    def recv(self, _size):
        raise self._error


class EchoTest(base.BaseTestCase):
    def test_a_refusal_is_no_answer(self):
        for error in (
            OSError(90, 'Message too long'),
            ConnectionRefusedError(),
            TimeoutError(),
        ):
            echo = Refusing(error)
            self.assertFalse(seen._comes_back(echo, 1500))
            self.assertEqual(seen.TRIES, echo.sent)
