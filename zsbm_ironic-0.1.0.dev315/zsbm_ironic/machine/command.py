# SPDX-License-Identifier: Apache-2.0
"""The QEMU command line of a machine: a pure function of its spec.

Hardware-like on purpose: q35 with AHCI or NVMe disks and e1000e cards, so
that what boots here boots on metal. Device ids are fixed (disk0, net0, cd0):
`Machine` uses them to change boot order, media and links of a running
machine.
"""

from collections.abc import Iterator, Sequence

from zsbm_ironic.machine import exception as machine_exception
from zsbm_ironic.machine import firmware
from zsbm_ironic.machine import spec as specs

BootDevice = specs.BootDevice
Firmware = specs.Firmware

#: Ports of q35's AHCI controller; the last holds the CD drive.
_AHCI_PORTS = 6

#: QEMU's default CPU and board per architecture. `max` because images for
#: x86-64-v2 and later do not boot on the default qemu64.
_BOARD = {
    'x86_64': 'q35',
    'aarch64': 'virt,gic-version=max',
    'riscv64': 'virt',
    'loongarch64': 'virt',
}

#: Firmware that, told an order, connects the named devices alone: not the
#: source of random numbers, without which its network stack does not load,
#: and so PXE is gone (https://github.com/tianocore/edk2/issues/12095).
#: Told none, it connects everything.
_NO_ORDER_FOR_NETWORK = ('riscv64', 'loongarch64')


def boot_indexes(
    spec: specs.MachineSpec, order: Sequence[BootDevice]
) -> dict[str, int]:
    """Return device id -> bootindex; devices not in `order` come after it.

    The CD drive is left out unless asked for: an empty one would cost the
    firmware a time-out. No device has an index where the firmware would lose
    the network by it: its own order holds, disks that boot before network.
    """
    wanted = list(order)
    network_first = wanted[:1] in ([BootDevice.NETWORK], [BootDevice.HTTP])
    if network_first and spec.arch in _NO_ORDER_FOR_NETWORK:
        return {}
    for device in (BootDevice.DISK, BootDevice.NETWORK):
        if device not in wanted:
            wanted.append(device)
    ids: list[str] = []
    for device in wanted:
        for name in _devices(spec, device):
            if name not in ids:
                ids.append(name)
    return {name: index for index, name in enumerate(ids, start=1)}


def _devices(spec: specs.MachineSpec, device: BootDevice) -> list[str]:
    if device is BootDevice.DISK:
        return [f'disk{index}' for index in range(len(spec.disks))]
    if device is BootDevice.CDROM:
        return ['cd0']
    return [f'net{index}' for index in range(len(spec.nics))]


def arguments(
    spec: specs.MachineSpec,
    order: Sequence[BootDevice],
    accelerator: str,
    media: str | None = None,
) -> list[str]:
    """Return argv that starts the machine in the background.

    :param order: what the firmware tries first.
    :param accelerator: 'kvm' or 'tcg'.
    :param media: image in the CD drive, None for an empty drive.
    """
    return [
        f'qemu-system-{spec.arch}',
        *_base(spec, accelerator),
        *_firmware(spec, order),
        *_storage(spec, boot_indexes(spec, order), media),
        *_network(spec, boot_indexes(spec, order)),
        *_monitors(spec),
        *spec.extra_arguments,
    ]


def _base(spec: specs.MachineSpec, accelerator: str) -> Iterator[str]:
    board = _BOARD[spec.arch]
    if spec.arch == 'x86_64':
        # graphics=off makes SeaBIOS and loaders speak on the serial port.
        board += ',graphics=off'
        if spec.firmware is Firmware.UEFI_SECUREBOOT:
            board += ',smm=on'
    accel = accelerator
    if accelerator == 'tcg':
        accel += ',thread=multi'
    yield from ('-name', f'{spec.name},process=qemu-{spec.name}'[:200])
    yield from ('-nodefaults', '-no-user-config', '-display', 'none')
    yield from ('-machine', board, '-accel', accel, '-cpu', 'max')
    yield from ('-m', str(spec.memory_mib), '-smp', str(spec.cpus))
    yield from ('-uuid', str(spec.uuid))
    yield from (
        '-smbios',
        'type=1,manufacturer=zsbm,product=Emulated server,'
        f'serial={spec.name},uuid={spec.uuid}',
    )
    yield from ('-object', 'rng-random,filename=/dev/urandom,id=rng0')
    yield from ('-device', 'virtio-rng-pci,rng=rng0')
    if spec.arch == 'x86_64':
        yield from ('-device', 'VGA')


def _firmware(
    spec: specs.MachineSpec, order: Sequence[BootDevice]
) -> Iterator[str]:
    flash = firmware.flash_for(spec)
    if flash is None:
        return
    if spec.firmware is Firmware.UEFI_SECUREBOOT:
        # Only code in system management mode may write the variables.
        yield from (
            '-global',
            'driver=cfi.pflash01,property=secure,value=on',
        )
        yield from ('-global', 'ICH9-LPC.disable_s3=1')
    yield from (
        '-drive',
        f'if=pflash,unit=0,format=raw,readonly=on,file={flash.code}',
    )
    yield from (
        '-drive',
        f'if=pflash,unit=1,format=raw,file={spec.variables}',
    )
    if order and order[0] is BootDevice.HTTP and spec.arch == 'x86_64':
        # A network card is one boot index for PXE and HTTP alike: with PXE
        # taken away by OVMF's own switch, HTTP is what is left.
        for version in ('4', '6'):
            yield from (
                '-fw_cfg',
                f'name=opt/org.tianocore/IPv{version}PXESupport,string=no',
            )


def _storage(
    spec: specs.MachineSpec, indexes: dict[str, int], media: str | None
) -> Iterator[str]:
    sata = sum(1 for disk in spec.disks if disk.bus == 'sata')
    if sata and spec.arch != 'x86_64':
        yield from ('-device', 'ich9-ahci,id=ide')
    if sata > _AHCI_PORTS - 1:
        raise machine_exception.MachineInvalid(
            machine=spec.name,
            what=f'{sata} sata disks',
            remedy=f'At most {_AHCI_PORTS - 1} fit beside the CD drive',
        )
    port = 0
    for number, disk in enumerate(spec.disks):
        name = f'disk{number}'
        serial = spec.disk_serial(number)
        yield from (
            '-drive',
            f'if=none,id={name}-image,file={_escaped(str(disk.path))},'
            f'format={disk.format},discard=unmap,cache=unsafe',
        )
        if disk.bus == 'nvme':
            model = 'nvme'
        elif disk.bus == 'virtio':
            model = 'virtio-blk-pci'
        else:
            model = f'ide-hd,bus=ide.{port}'
            port += 1
        yield from (
            '-device',
            f'{model},drive={name}-image,id={name},serial={serial}'
            + _index(name, indexes),
        )
    if spec.arch == 'x86_64':
        yield from _cd_drive(indexes, media)


def _cd_drive(indexes: dict[str, int], media: str | None) -> Iterator[str]:
    drive = 'if=none,id=cd0-image,media=cdrom,readonly=on'
    if media is not None:
        drive += f',format=raw,file={_escaped(media)}'
    yield from ('-drive', drive)
    yield from (
        '-device',
        f'ide-cd,bus=ide.{_AHCI_PORTS - 1},drive=cd0-image,id=cd0'
        + _index('cd0', indexes),
    )


def _network(
    spec: specs.MachineSpec, indexes: dict[str, int]
) -> Iterator[str]:
    for number, nic in enumerate(spec.nics):
        name = f'net{number}'
        if nic.netdev is not None:
            backend = nic.netdev
        elif nic.tap is not None:
            backend = f'tap,ifname={nic.tap},script=no,downscript=no'
            if nic.whole_frames:
                backend += ',vnet_hdr=off'
        else:
            # A hub of its own: a cable that ends nowhere.
            backend = f'hubport,hubid={number}'
        kind, _, options = backend.partition(',')
        yield from (
            '-netdev',
            f'{kind},id={name}-link' + (f',{options}' if options else ''),
        )
        rom = '' if nic.boot_rom else ',romfile='
        yield from (
            '-device',
            f'{nic.model},netdev={name}-link,id={name},mac={nic.mac}{rom}'
            + _index(name, indexes),
        )


def _monitors(spec: specs.MachineSpec) -> Iterator[str]:
    for path in (spec.qmp_socket, spec.event_socket):
        yield from ('-qmp', f'unix:{_escaped(str(path))},server=on,wait=off')
    yield from (
        '-chardev',
        f'socket,id=serial0,path={_escaped(str(spec.serial_socket))},'
        f'server=on,wait=off,logfile={_escaped(str(spec.serial_log))},'
        'logappend=on',
    )
    yield from ('-serial', 'chardev:serial0')
    yield from ('-pidfile', str(spec.pid_file), '-daemonize')


def _index(name: str, indexes: dict[str, int]) -> str:
    return f',bootindex={indexes[name]}' if name in indexes else ''


def _escaped(path: str) -> str:
    """Double the commas: one would end the option (qemu's own rule)."""
    return path.replace(',', ',,')
