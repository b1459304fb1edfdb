# SPDX-License-Identifier: Apache-2.0
"""KVM or software: decided by running a guest, not by looking at a file.

A /dev/kvm that opens and even starts SeaBIOS may still be useless: where the
hypervisor below gives no hardware virtualisation, KVM emulates instruction by
instruction, fifty times slower than QEMU's own translator, and Linux seems to
hang. So a small guest is run against the clock: it enters long mode with
paging, counts to 67 million and waits for a timer interrupt. Real KVM needs a
twentieth of a second for it, software half a second, an emulating KVM more
than a minute.
"""

import contextlib
import functools
import json
import logging
import os
import pathlib
import tempfile

from zsbm_ironic.common import exception, process

LOG = logging.getLogger(__name__)

#: Ten times what software needs on an idle host.
_LIMIT_S = 5.0

#: QEMU's isa-debug-exit ends with twice the written byte plus one.
_SUCCESS = 2 * 0x2A + 1

#: Multiboot 0.6.96: magic, flags (addresses follow), checksum; then where
#: the header, the start, the end and the entry point are.
_HEADER = bytes.fromhex(
    '02b0ad1b' '00000100' 'fe4f51e4'
    '00001000' '00001000' '00000000' '00000000' '20001000'
)  # fmt: skip

#: 32-bit code up to the far jump, 64-bit code from there. The page tables at
#: 0x110000 map the first 2 MiB to themselves.
_CODE = bytes.fromhex(
    'c7050000110003101100'  # start: mov DWORD PTR ds:0x110000,0x111003
    'c7050010110003201100'  # mov DWORD PTR ds:0x111000,0x112003
    'c7050020110083000000'  # mov DWORD PTR ds:0x112000,0x83
    '0f011500011000'  # lgdtd ds:0x100100
    '0f20e0'  # mov eax,cr4
    '83c820'  # or eax,0x20
    '0f22e0'  # mov cr4,eax
    'b800001100'  # mov eax,0x110000
    '0f22d8'  # mov cr3,eax
    'b9800000c0'  # mov ecx,0xc0000080
    '0f32'  # rdmsr
    '0d00010000'  # or eax,0x100
    '0f30'  # wrmsr
    '0f20c0'  # mov eax,cr0
    '0d00000080'  # or eax,0x80000000
    '0f22c0'  # mov cr0,eax
    'ea760010000800'  # jmp 0x8:0x100076
    'bc00001200'  # long: mov esp,0x120000
    'b900000004'  # mov ecx,0x4000000
    'ffc9'  # loop: dec ecx
    '75fc'  # jne 0x100080
    'b8dc001000'  # mov eax,0x1000dc
    '6689042500321100'  # mov WORD PTR ds:0x113200,ax
    '66c70425023211000800'  # mov WORD PTR ds:0x113202,0x8
    '66c7042504321100008e'  # mov WORD PTR ds:0x113204,0x8e00
    'c1e810'  # shr eax,0x10
    '6689042506321100'  # mov WORD PTR ds:0x113206,ax
    '0f011c2506011000'  # lidt ds:0x100106
    'b011'  # mov al,0x11
    'e620'  # out 0x20,al
    'b020'  # mov al,0x20
    'e621'  # out 0x21,al
    'b004'  # mov al,0x4
    'e621'  # out 0x21,al
    'b001'  # mov al,0x1
    'e621'  # out 0x21,al
    'b0fe'  # mov al,0xfe
    'e621'  # out 0x21,al
    'b034'  # mov al,0x34
    'e643'  # out 0x43,al
    'b000'  # mov al,0x0
    'e640'  # out 0x40,al
    'b010'  # mov al,0x10
    'e640'  # out 0x40,al
    'fb'  # sti
    'f4'  # wait: hlt
    'ebfd'  # jmp 0x1000d9
    'b02a'  # handler: mov al,0x2a
    'e6f4'  # out 0xf4,al
    'f4'  # stop: hlt
    'ebfd'  # jmp 0x1000e0
    '0f1f440000'  # nop DWORD PTR [rax+rax*1+0x0]
)

#: Global descriptors: null, 64-bit code, data; then the operands of lgdt and
#: of lidt (the interrupt table is at 0x113000).
_TABLES = bytes.fromhex(
    '0000000000000000' '00000000009a2000' '0000000000920000'
    '1700e8001000' 'ff0f0030110000000000'
)  # fmt: skip


@functools.cache
def choose(arch: str) -> str:
    """Return 'kvm' where KVM runs a guest of `arch` at speed, else 'tcg'.

    The answer for x86_64 is kept until the next boot of the host, in the
    runtime directory; what root found out counts for everybody.
    """
    if os.uname().machine != arch or not os.access(
        '/dev/kvm', os.R_OK | os.W_OK
    ):
        return 'tcg'
    if arch != 'x86_64':
        # Our guest is x86 code; other architectures have no emulating KVM.
        return 'kvm'
    key = f'{os.uname().release} {_device_key()}'
    for cache in _caches():
        known = _read(cache)
        if key in known:
            return known[key]
    chosen = 'kvm' if runs('kvm') else 'tcg'
    LOG.info('Machines run with %s', chosen)
    for cache in _caches():
        with contextlib.suppress(OSError):
            cache.write_text(json.dumps({key: chosen}))
            break
    return chosen


def runs(accelerator: str, limit_s: float = _LIMIT_S) -> bool:
    """Run the guest; False where it does not end well and in time."""
    with tempfile.NamedTemporaryFile(prefix='zsbm-probe-') as image:
        image.write(_HEADER + _CODE + _TABLES)
        image.flush()
        argv = ['qemu-system-x86_64', '-nodefaults', '-no-user-config']
        argv += ['-display', 'none', '-no-reboot', '-machine', 'q35']
        argv += ['-accel', accelerator, '-cpu', 'max', '-m', '64']
        argv += ['-device', 'isa-debug-exit,iobase=0xf4,iosize=4']
        argv += ['-kernel', image.name]
        try:
            done = process.run(argv, timeout_s=limit_s, check=False)
        except exception.ProcessTimedOut:
            return False
    return done.returncode == _SUCCESS


def _caches() -> list[pathlib.Path]:
    """Return files that a reboot removes: our own, then root's to read."""
    return [
        pathlib.Path(name) / 'zsbm-accelerator.json'
        for name in (os.environ.get('XDG_RUNTIME_DIR'), '/run')
        if name
    ]


def _device_key() -> str:
    return f'{os.stat("/dev/kvm").st_ctime_ns:x}'


def _read(cache: pathlib.Path) -> dict[str, str]:
    """Return what a cache says; one that another user wrote says nothing."""
    try:
        if cache.stat().st_uid not in (0, os.getuid()):
            return {}
        known: dict[str, str] = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    return known
