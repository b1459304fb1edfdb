# SPDX-License-Identifier: Apache-2.0
"""The file that an emulator process is started with.

::

    {
      "name": "metal-1",
      "state_dir": "/var/lib/zsbm-lab/metal-1",
      "machine": {
        "firmware": "uefi",
        "memory_mib": 2048,
        "cpus": 2,
        "disks": [{"bus": "nvme", "path": "/var/.../disk.qcow2"}],
        "nics": [{"model": "e1000e", "mac": "52:54:00:00:00:01",
                  "tap": "tap-m1", "boot_rom": true}]
      },
      "asset": {"manufacturer": "Emulated Servers Inc.",
                "manufacturer_id": 0, "product": "Emulated server"},
      "ipmi": {"address": "192.0.2.11", "port": 623,
               "username": "admin", "password": "password",
               "cipher_suites": [17, 3], "kg": "", "max_privilege": 4},
      "redfish": {"address": "192.0.2.11", "port": 443,
                  "username": "admin", "password": "password", "tls": true},
      "control_socket": "/var/lib/zsbm-lab/metal-1/control.sock",
      "ready_file": "/var/lib/zsbm-lab/metal-1/ready.json",
      "kill_machine_on_exit": false
    }

`machine` takes the fields of `zsbm_ironic.machine.MachineSpec` but its name
and state_dir, which are those above; without it the chassis is in memory
only. At least one of `ipmi` and `redfish` has to be there; all their keys
have defaults (see IpmiSettings and RedfishSettings). `asset`, and everything
from `control_socket` on, may be left out: the values shown are the defaults.
"""

import dataclasses
import json
import pathlib
from typing import Any

from zsbm_ironic import machine as machine_room
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.emulator.ipmi import IpmiSettings
from zsbm_ironic.lab.emulator.redfish import RedfishSettings


@dataclasses.dataclass(frozen=True)
class Config:
    """One emulator process; fields as in the file."""

    name: str
    state_dir: pathlib.Path
    machine: machine_room.MachineSpec | None = None
    asset: dict[str, Any] = dataclasses.field(default_factory=dict)
    ipmi: IpmiSettings | None = None
    redfish: RedfishSettings | None = None
    control_socket: pathlib.Path | None = None
    ready_file: pathlib.Path | None = None
    kill_machine_on_exit: bool = False

    @property
    def control_path(self) -> pathlib.Path:
        """Where faults are asked for."""
        return self.control_socket or self.state_dir / 'control.sock'

    @property
    def ready_path(self) -> pathlib.Path:
        """What exists once the BMC answers."""
        return self.ready_file or self.state_dir / 'ready.json'


def load(path: pathlib.Path) -> Config:
    """Read a configuration file.

    :raises LabSettingInvalid: the file is not as documented above.
    """
    try:
        return parse(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise lab_exception.LabSettingInvalid(
            where=path, what=f'{type(exc).__name__}: {exc}'
        ) from exc


def parse(values: dict[str, Any]) -> Config:
    """Build a configuration of plain JSON values.

    :raises ValueError, TypeError, KeyError: a value, key or name is wrong.
    """
    fields = dict(values)
    state_dir = pathlib.Path(fields['state_dir'])
    fields['state_dir'] = state_dir
    if fields.get('machine') is not None:
        fields['machine'] = machine_room.from_mapping(
            {
                **fields['machine'],
                'name': fields['name'],
                'state_dir': str(state_dir),
            }
        )
    if fields.get('ipmi') is not None:
        settings = dict(fields['ipmi'])
        suites = settings.get('cipher_suites', (17, 3))
        settings['cipher_suites'] = tuple(suites)
        fields['ipmi'] = IpmiSettings(**settings)
    if fields.get('redfish') is not None:
        fields['redfish'] = RedfishSettings(
            **{**fields['redfish'], 'state_dir': state_dir}
        )
    for key in ('control_socket', 'ready_file'):
        if fields.get(key) is not None:
            fields[key] = pathlib.Path(fields[key])
    made = Config(**fields)
    if made.ipmi is None and made.redfish is None:
        raise ValueError('neither ipmi nor redfish is configured')
    return made
