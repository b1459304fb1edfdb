# SPDX-License-Identifier: Apache-2.0
"""A QEMU machine that is like a server, as far as QEMU has such devices.

Where it has not, the nearest device stands in, and is told: an image boots
there by another driver than on the server, so the rehearsal shows all but
that. Used by rehearsals and by tests of conversions.
"""

import dataclasses
import pathlib
import re

from zsbm_ironic.image import hardware
from zsbm_ironic.machine import spec as specs

MEMORY_MIB = 2048
_ARCHITECTURES = {'x86_64': 'x86_64', 'aarch64': 'aarch64'}
_PCI = re.compile(
    r'pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})sv\w+sd\w+bc(\w\w)sc(\w\w)i'
)
# QEMU's model of a NIC by what PCI says of it.
_NICS = {
    ('8086', '10D3'): 'e1000e',
    ('8086', '100E'): 'e1000',
    ('10EC', '8139'): 'rtl8139',
    ('15AD', '07B0'): 'vmxnet3',
}
# Class and subclass of a disk's controller (PCI Code and ID Assignment 1.11).
_BUSES = {('01', '06'): 'sata', ('01', '08'): 'nvme'}
_NEAREST_BUS = hardware.PROFILES['bios-sata'].disk
_NEAREST_NIC = hardware.PROFILES['bios-sata'].nics[0]
_MAC = '52:54:00:76:77:{:02x}'
# libpcap's own format (pcap-savefile(5)); QEMU writes it in the order of the
# host, and ours are little-endian.
_PCAP_HEADER_BYTES = 24
_FRAME_HEADER_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Twin:
    """What is started in place of a server.

    :ivar hardware: of the machine: an image has to boot there as well.
    :ivar stand_ins: what is not as on the server, for people.
    """

    hardware: hardware.Hardware
    bus: str
    models: tuple[str, ...]
    stand_ins: tuple[str, ...]

    def spec(
        self, disk: specs.Disk, folder: pathlib.Path
    ) -> specs.MachineSpec:
        """Return the machine, its NICs on networks that lead nowhere.

        :param disk: on any bus; it gets that of the twin.
        :param folder: where its files are; its NICs' frames are kept in
            `frames` of it.
        """
        frames = [
            word
            for number in range(len(self.models))
            for word in (
                '-object',
                f'filter-dump,id=frames{number},netdev=net{number}-link,'
                f'file={frames_file(folder, number)}',
            )
        ]
        return specs.MachineSpec(
            name='twin',
            firmware=specs.Firmware(self.hardware.firmware.value),
            state_dir=folder,
            arch=_ARCHITECTURES[self.hardware.architecture],
            memory_mib=MEMORY_MIB,
            disks=(dataclasses.replace(disk, bus=self.bus),),
            nics=tuple(
                specs.Nic(
                    model,
                    nic.mac or _MAC.format(number),
                    boot_rom=False,
                    netdev='user,restrict=on',
                )
                for number, (model, nic) in enumerate(
                    zip(self.models, self.hardware.nics, strict=True)
                )
            ),
            extra_arguments=tuple(frames),
        )


def frames_file(folder: pathlib.Path, number: int) -> pathlib.Path:
    """Return where the frames of a NIC are, in pcap format."""
    return folder / f'frames{number}'


def of(server: hardware.Hardware) -> Twin:
    """Return the twin of a server."""
    stand_ins: list[str] = []
    bus, disk = _bus(server)
    if bus is None:
        stand_ins.append(f'a SATA disk stands in for one on {server.disk[0]}')
        bus, disk = 'sata', _NEAREST_BUS
    models, nics = [], []
    for nic in server.nics:
        model, modalias = _model(nic.modalias), nic.modalias
        if model is None:
            stand_ins.append(f'an Intel 82574L stands in for {modalias}')
            model, modalias = 'e1000e', _NEAREST_NIC.modalias
        models.append(model)
        nics.append(dataclasses.replace(nic, modalias=modalias))
    name = f'the twin of {server.name}' if stand_ins else server.name
    machine = dataclasses.replace(
        server, name=name, disk=disk, nics=tuple(nics)
    )
    return Twin(machine, bus, tuple(models), tuple(stand_ins))


def _bus(server: hardware.Hardware) -> tuple[str | None, tuple[str, ...]]:
    for modalias in server.disk:
        if modalias.startswith('virtio:'):
            return 'virtio', server.disk
        match = _PCI.match(modalias)
        if match and (bus := _BUSES.get((match[3], match[4]))):
            return bus, server.disk
    return None, ()


def _model(modalias: str) -> str | None:
    if modalias.startswith('virtio:'):
        return 'virtio-net-pci'
    match = _PCI.match(modalias)
    return _NICS.get((match[1], match[2])) if match else None


def sent(file: pathlib.Path, mac: str) -> int:
    """Return how many frames with this source are in a pcap file."""
    if not file.exists():
        return 0
    source = bytes.fromhex(mac.replace(':', ''))
    count = 0
    with file.open('rb') as frames:
        frames.seek(_PCAP_HEADER_BYTES)
        while len(header := frames.read(_FRAME_HEADER_BYTES)) == (
            _FRAME_HEADER_BYTES
        ):
            frame = frames.read(int.from_bytes(header[8:12], 'little'))
            count += frame[6:12] == source
    return count
