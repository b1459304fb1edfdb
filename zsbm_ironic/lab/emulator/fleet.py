# SPDX-License-Identifier: Apache-2.0
"""A rack, or ten, of emulated BMCs in one process.

``python -m zsbm_ironic.lab.emulator.fleet PLAN.json CONTROL`` serves until
SIGTERM; CONTROL is the socket where faults are asked for (`client`).

Each has an address of its own in one network, IPMI first, Redfish after. All
of their chassis are in memory. The addresses are local as a whole: 127.0.0.0/8
is, another network after `ip route add local NETWORK dev lo`.
"""

import dataclasses
import ipaddress
import json
import pathlib
import random
import signal
import sys
import threading
import uuid
from typing import Any

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import control, ipmi, redfish
from zsbm_ironic.lab.emulator import faults as faults_room

ANY = '0.0.0.0'  # noqa: S104 - of a network namespace, or loopback alone
# Numbers that no network has for a host of its own.
FIRST = 10
_NAMESPACE = uuid.UUID('0b0a1f0e-3f0b-4d3c-9a0b-6a4d6d6f8f10')


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a fleet is.

    :ivar network: where its BMCs are.
    :ivar ipmi, redfish: how many of each.
    :ivar ipmi_port, redfish_port: 0 lets the kernel choose.
    """

    network: str = '127.9.0.0/16'
    ipmi: int = 0
    redfish: int = 0
    ipmi_port: int = 623
    redfish_port: int = 443
    username: str = 'admin'
    password: str = 'password'  # noqa: S105 - what factories set


@dataclasses.dataclass(frozen=True)
class Member:
    """One BMC of a fleet."""

    name: str
    address: str
    protocol: str
    chassis: chassis_room.MemoryChassis
    faults: faults_room.Faults


class Fleet:
    """Serves until `stop`.

    :ivar members: all BMCs, in the order of their addresses.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.members = list(map(self._member, range(plan.ipmi + plan.redfish)))
        self._wire: ipmi.Wire | None = None
        self._bmcs: dict[str, ipmi.Bmc] = {}
        self._redfish: redfish.Fleet | None = None
        try:
            self._serve()
        except BaseException:
            self.stop()
            raise

    def _member(self, number: int) -> Member:
        protocol = 'ipmi' if number < self.plan.ipmi else 'redfish'
        network = ipaddress.ip_network(self.plan.network)
        name = f'fleet-{number:04d}'
        asset = chassis_room.Asset(
            name=name,
            uuid=uuid.uuid5(_NAMESPACE, name),
            macs=(f'52:54:00:f0:{number >> 8:02x}:{number & 255:02x}',),
            uefi=protocol == 'redfish',
        )
        return Member(
            name,
            str(network[FIRST + number]),
            protocol,
            chassis_room.MemoryChassis(asset, is_on=True),
            # Each loses packets of its own.
            faults_room.Faults(_random=random.Random(number)),  # noqa: S311
        )

    def _serve(self) -> None:
        plan = self.plan
        if plan.ipmi:
            self._wire = ipmi.Wire(ANY, plan.ipmi_port)
        for one in self.members:
            if one.protocol == 'ipmi':
                settings = ipmi.IpmiSettings(
                    one.address,
                    plan.ipmi_port,
                    plan.username,
                    plan.password,
                )
                self._bmcs[one.name] = ipmi.Bmc(
                    one.chassis, settings, one.faults, self._wire
                )
        if plan.redfish:
            self._redfish = redfish.Fleet(
                redfish.RedfishSettings(
                    ANY, plan.redfish_port, plan.username, plan.password
                ),
                {
                    one.address: redfish.Member(one.chassis, one.faults)
                    for one in self.members
                    if one.protocol == 'redfish'
                },
            )

    @property
    def ipmi_port(self) -> int:
        """UDP port of all that speak IPMI."""
        return self._wire.port if self._wire else 0

    @property
    def redfish_port(self) -> int:
        """TCP port of all that speak Redfish."""
        return self._redfish.port if self._redfish else 0

    @property
    def fingerprint(self) -> str:
        """Of the certificate that all show; empty without Redfish."""
        return self._redfish.fingerprint if self._redfish else ''

    def driver_info(self, member: Member) -> dict[str, str | int]:
        """Return driver_info of type zsbm for one of them."""
        info: dict[str, str | int] = {
            'bmc_address': member.address,
            'bmc_username': self.plan.username,
            'bmc_password': self.plan.password,
            'bmc_protocol': member.protocol,
        }
        if member.protocol == 'ipmi':
            return {**info, 'bmc_port': self.ipmi_port}
        return {
            **info,
            'bmc_port': self.redfish_port,
            'bmc_cert_fingerprint': self.fingerprint,
        }

    def stop(self) -> None:
        """Stop serving."""
        if self._redfish:
            self._redfish.stop()
        if self._wire:
            self._wire.stop()
        for one in self._bmcs.values():
            one.stop()

    def restart(self, name: str, seconds: float) -> None:
        """Restart a BMC: silent for so long, all sessions gone."""
        if name in self._bmcs:
            self._bmcs[name].restart(seconds)
            return
        (member,) = (one for one in self.members if one.name == name)
        member.faults.silence(seconds)
        if self._redfish:
            self._redfish.forget(member.address)

    def status(self) -> dict[str, Any]:
        """Return what a client has to know, as plain JSON values."""
        return {
            'members': {
                one.name: self.driver_info(one) for one in self.members
            },
            'switched_on': sum(one.chassis.is_on for one in self.members),
        }


def main(arguments: list[str]) -> int:
    """Serve until told to stop."""
    plan_file, socket_file = map(pathlib.Path, arguments)
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    fleet = Fleet(Plan(**json.loads(plan_file.read_text())))
    controller = control.Server(
        socket_file,
        control.of_fleet(
            {one.name: (one.chassis, one.faults) for one in fleet.members},
            fleet.status,
            fleet.restart,
        ),
    )
    try:
        ending.wait()
    finally:
        controller.stop()
        fleet.stop()
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
