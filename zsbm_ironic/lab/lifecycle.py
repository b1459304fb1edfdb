# SPDX-License-Identifier: Apache-2.0
"""Bring a lab up, take it down, say what of it runs.

Called by the command `zsbm-lab`. What `up` does is idempotent: each part
looks first whether it is there, so an interrupted `up` is taken up by the
next one. The lab outlives the command; its state folder says what it is.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
from typing import Any

import zsbm_ironic
from zsbm_ironic.common import artifacts, process, progress, whole_file
from zsbm_ironic.lab import (
    bench,
    cluster,
    daemon,
    full_disk,
    hosted,
    ironic,
    layout,
    machines,
    monitoring,
    netboot,
    network,
    relay,
    stock,
    wired,
)
from zsbm_ironic.lab import exception as lab_exception
from zsbm_ironic.lab.cloud import cloud, metal, world
from zsbm_ironic.lab.images import os_image, ramdisk
from zsbm_ironic.netboot import loaders as loaders_room

STACKS = ('stock', 'zsbm')


@dataclasses.dataclass(frozen=True)
class Plan:
    """What kind of lab this is.

    :ivar stack: zsbm, or stock (upstream's drivers and boot service alone).
    :ivar machines_file: declared machines; None: the two default ones.
    :ivar conductors: 1: one process and SQLite; 2: an API and two conductors
        on MariaDB.
    :ivar second_group: conductor group of the second conductor: a dedicated
        deploy server.
    :ivar cloud: with all other services of a small OpenStack.
    :ivar overlay: in that, networks of members are tunnels, not VLANs.
    :ivar neutron_dhcp: in that, Neutron's DHCP serves the ramdisk too.
    :ivar switch: machines are behind a switch, which ironic-networking
        configures.
    :ivar bridge: machines alone, on this bridge of the host, for an Ironic
        that is not the lab's; empty: a lab.
    :ivar bridge_address: with its prefix length, of a bridge that is made.
    :ivar bmc_network: that the BMCs have their addresses in.
    :ivar raw_images: the conductor unpacks an image, as Ironic does by
        default; else the ramdisk does, and a tenth of the bytes go through
        the emulated NIC of a machine.
    :ivar monitoring: conductors read the BMCs and serve figures.
    :raises LabSettingInvalid: there is no such lab.
    """

    stack: str = 'zsbm'
    machines_file: str | None = None
    conductors: int = 1
    second_group: str = ''
    cloud: bool = False
    overlay: bool = False
    neutron_dhcp: bool = False
    switch: bool = False
    bridge: str = ''
    bridge_address: str = ''
    bmc_network: str = layout.BMC_NETWORK
    raw_images: bool = True
    monitoring: bool = False

    @property
    def has_switch(self) -> bool:
        """Whether machines are plugged into a switch in user space."""
        return self.cloud or self.switch

    def __post_init__(self) -> None:
        if self.cloud and (self.conductors > 1 or self.stack == 'stock'):
            raise lab_exception.LabSettingInvalid(
                where='--cloud', what='it has one conductor, of stack zsbm'
            )
        for name in ('overlay', 'neutron_dhcp'):
            if getattr(self, name) and not self.cloud:
                raise lab_exception.LabSettingInvalid(
                    where=f'--{name.replace("_", "-")}',
                    what='it needs --cloud',
                )
        if self.switch and (
            self.cloud or self.conductors > 1 or self.stack == 'stock'
        ):
            raise lab_exception.LabSettingInvalid(
                where='--switch',
                what='it has one conductor, of stack zsbm, and no cloud',
            )
        if self.bridge and (
            self.cloud
            or self.switch
            or self.conductors > 1
            or self.stack == 'stock'
        ):
            raise lab_exception.LabSettingInvalid(
                where='--bridge', what='there are machines and nothing else'
            )
        if self.bridge_address and not self.bridge:
            raise lab_exception.LabSettingInvalid(
                where='--bridge-address', what='it needs --bridge'
            )
        if self.second_group and self.conductors < 2:
            raise lab_exception.LabSettingInvalid(
                where='--second-group', what='it needs --conductors 2'
            )
        if self.stack == 'stock' and self.conductors > 1:
            raise lab_exception.LabSettingInvalid(
                where='--stack stock', what='it has one conductor'
            )
        if self.monitoring and (self.stack == 'stock' or self.bridge):
            raise lab_exception.LabSettingInvalid(
                where='--monitoring', what='it needs conductors of stack zsbm'
            )


@dataclasses.dataclass(frozen=True)
class Built:
    """What takes minutes to build and is shared by all labs of a host."""

    ramdisk: ramdisk.Ramdisk
    loaders: pathlib.Path


class Lab:
    """The one lab of a state folder."""

    def __init__(
        self, folders: layout.Layout, report: progress.Progress
    ) -> None:
        self.folders = folders
        self.report = report
        self.supervisor = daemon.Supervisor(folders.run, folders.log)

    @property
    def _plan_file(self) -> pathlib.Path:
        return self.folders.state / 'plan.json'

    def plan(self) -> Plan | None:
        """Return what the lab was brought up as; None: there is none."""
        try:
            return Plan(**json.loads(self._plan_file.read_text()))
        except OSError:
            return None

    def declared(self) -> list[machines.Declaration]:
        """Return the machines of this lab."""
        return machines.load(
            self._declared_in(),
            self.folders.state,
            (self.plan() or Plan()).bmc_network,
        )

    def machine_names(self) -> list[str]:
        """Return the names of its machines; needs no rights, makes nothing."""
        return machines.names(self._declared_in())

    def _declared_in(self) -> pathlib.Path | None:
        plan = self.plan() or Plan()
        return self._machines_file if plan.machines_file else None

    @property
    def _machines_file(self) -> pathlib.Path:
        """The lab's own copy: that of the user may go before the lab."""
        return self.folders.state / 'machines.toml'

    def built(self) -> Built:
        """Return ramdisk and loaders, built where missing.

        :raises ZsbmError: one of them cannot be built; the message says why.
        """
        cache = self.cache()
        built = ramdisk.build(cache)
        held = dataclasses.replace(
            built,
            kernel=self.hold(built.kernel, built.digest),
            initramfs=self.hold(built.initramfs, built.digest),
        )
        return Built(
            held,
            loaders_room.fetch(cache).folder,
        )

    def os_image(self) -> os_image.OsImage:
        """Return the test image, built where missing.

        :raises ZsbmError: it cannot be built; the message says why.
        """
        image = os_image.build(self.cache())
        return dataclasses.replace(
            image, path=self.hold(image.path, image.digest)
        )

    def hold(self, path: pathlib.Path, digest: str) -> pathlib.Path:
        """Return a name of our own for a built file, that conductors read.

        The cache drops what is old; a node may be rebuilt long after.
        """
        own = self.folders.built / f'{digest}-{path.name}'
        if not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            try:
                own.hardlink_to(path)
            except OSError:
                draft = own.with_suffix('.new')
                shutil.copyfile(path, draft)
                draft.rename(own)
        return own

    def cache(self) -> artifacts.Artifacts:
        """Return what takes minutes to build, shared by all labs of a host."""
        return artifacts.Artifacts(self.folders.cache, report=self.report)

    def up(self, plan: Plan) -> None:
        """Bring everything up that does not run yet.

        :raises LabSettingInvalid: another kind of lab is up already.
        """
        if plan.bridge:
            self._up_alone(plan)
            return
        self._displace()
        self._settle(plan)
        self._stop_what_is_outdated()
        built = self.built()
        self.os_image()
        declared = self.declared()
        with self.report.step('network'):
            self._wire(plan, declared)
            self._make_ssh_key()
        for machine in declared:
            self._start(
                bench.prepare(
                    machine,
                    self.folders,
                    self.cache(),
                    whole_frames=plan.has_switch,
                )
            )
        if any(nic.relayed for one in declared for nic in one.nics):
            self._start(relay.service())
        if plan.conductors == 1:
            self._up_single(plan, built)
        else:
            self._up_cluster(plan, built)

    def _up_alone(self, plan: Plan) -> None:
        """Bring up machines, with nothing around them.

        One that is declared no more, or in another way, ends.
        """
        before = self.declared() if self.plan() else []
        self._settle(plan)
        self._stop_what_is_outdated()
        declared = self.declared()
        gone = [one for one in before if one not in declared]
        for machine in gone:
            self.supervisor.stop(bench.emulator_name(machine))
            bench.switch_off(machine, self.folders)
        hosted.unplug(plan.bridge, gone)
        with self.report.step('network'):
            hosted.check_free(plan.bmc_network)
            hosted.connect(
                plan.bridge, plan.bridge_address, declared, self.folders.state
            )
        for service in hosted.services(declared, self.folders, self.cache()):
            self._start(service)

    def _up_single(self, plan: Plan, built: Built) -> None:
        conductor = self.conductor(1, built)
        options = ironic.settings(conductor)
        if plan.stack == 'stock':
            options = ironic.merge(
                options, stock.settings(conductor, built.loaders)
            )
        else:
            options = ironic.merge(
                options, netboot.settings(conductor, built.loaders)
            )
        if plan.monitoring:
            options = ironic.merge(options, monitoring.settings(conductor))
        taps = [
            nic.tap
            for machine in self.declared()
            for nic in machine.nics
            if not nic.relayed
        ]
        tor = wired.switch(self.folders.state)
        if plan.switch:
            wired.up(tor, self._start, self.report, taps)
            options = ironic.merge(options, wired.settings(tor))
        if plan.cloud:
            site = cloud.site_of(
                self.folders.state,
                self.cache(),
                overlay=plan.overlay,
                neutron_dhcp=plan.neutron_dhcp,
            )
            cloud.up(site, self.cache(), self._start, self.report, taps)
            metal.prepare(site)
            options = ironic.merge(options, metal.settings(site))
        if not self.supervisor.pid('ironic'):
            with self.report.step('ironic: configuration and database'):
                ironic.prepare(conductor, options)
                ironic.make_database(conductor)
        for service in self._boot_services(plan, conductor):
            self._start(service)
        if plan.switch:
            self._start(wired.service(tor, conductor))
        if plan.cloud:
            self._start(metal.process_of(conductor))
            cloud.up_computes(
                site,
                self._start,
                self.report,
                image=self.os_image().path,
                public_key=self.folders.ssh_key.with_suffix('.pub'),
            )
        else:
            self._start(ironic.single_process(conductor))

    def _up_cluster(self, plan: Plan, built: Built) -> None:
        conductors = [self.conductor(1, built), self.conductor(2, built)]
        self._start(cluster.database(self.folders.state))
        cluster.make_account(
            self.folders.state, anew=not ironic.has_database(conductors[0])
        )
        for conductor in conductors:
            group = plan.second_group if conductor.number == 2 else ''
            options = ironic.merge(
                ironic.settings(conductor),
                netboot.settings(conductor, built.loaders),
                cluster.settings(conductor, self.folders.state, group),
            )
            if plan.monitoring:
                options = ironic.merge(options, monitoring.settings(conductor))
            with self.report.step(f'{conductor.name}: configuration'):
                ironic.prepare(conductor, options)
        with self.report.step('database'):
            ironic.make_database(conductors[0])
        self._start(cluster.api(conductors[0]))
        for conductor in conductors:
            for service in self._boot_services(plan, conductor):
                self._start(service)
            self._start(cluster.process_of(conductor))

    def _boot_services(
        self, plan: Plan, conductor: ironic.Conductor
    ) -> list[daemon.Daemon]:
        if plan.stack == 'stock':
            return stock.daemons(conductor)
        netboot.make_folders(conductor)
        return [netboot.service(conductor)]

    def _start(self, one: daemon.Daemon) -> None:
        with self.report.step(one.name):
            self.supervisor.start(one)

    def _wire(self, plan: Plan, declared: list[machines.Declaration]) -> None:
        network.create(self.folders.state)
        nics = [nic for machine in declared for nic in machine.nics]
        if any(nic.relayed for nic in nics):
            relay.connect()
        for machine in declared:
            network.add_bmc(machine.bmc_address)
        usual = '' if plan.has_switch else layout.BRIDGE
        for nic in nics:
            network.add_tap(
                nic.tap,
                layout.EMULATOR_UID,
                relay.BRIDGE if nic.relayed else usual,
            )
        if plan.conductors > 1:
            cluster.connect(2)

    def down(self, *, wipe: bool) -> None:
        """Stop everything; with `wipe` forget the machines' disks as well."""
        for name in self.supervisor.names():
            with self.report.step(f'stop {name}'):
                self.supervisor.stop(name)
        for machine in self.declared() if self.plan() else []:
            bench.switch_off(machine, self.folders)
        plan = self.plan()
        if plan and plan.bridge:
            with self.report.step('network'):
                hosted.disconnect(
                    plan.bridge, self.declared(), self.folders.state
                )
        else:
            self._down_around()
        if wipe:
            with self.report.step('wipe'):
                shutil.rmtree(self.folders.state, ignore_errors=True)

    def _down_around(self) -> None:
        """Stop what a lab has besides its own processes and machines."""
        # What Ironic started for itself and left, such as a console.
        for pid in network.processes(layout.UIDS):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        full_disk.release(self.folders.state)
        with self.report.step('network'):
            network.delete()

    def conductor(self, number: int, built: Built) -> ironic.Conductor:
        """Return conductor `number` of this lab."""
        return ironic.Conductor(
            number=number,
            root=self.folders.conductor(number),
            address=layout.CONDUCTOR_ADDRESSES[number - 1],
            ramdisk=(built.ramdisk.kernel, built.ramdisk.initramfs),
            images=self.folders.built,
            unpacks=(self.plan() or Plan()).raw_images,
        )

    def status(self) -> dict[str, Any]:
        """Return what runs and where its logs are, for people and scripts."""
        plan = self.plan()
        nodes = ironic.node_uuids()
        return {
            'plan': dataclasses.asdict(plan) if plan else None,
            'namespace': layout.NAMESPACE if network.exists() else None,
            'processes': [
                {
                    'name': name,
                    'pid': self.supervisor.pid(name),
                    'log': str(self.supervisor.log_file(name)),
                }
                for name in reversed(self.supervisor.names())
            ],
            'machines': [
                bench.describe(machine, self.folders, nodes)
                for machine in (self.declared() if plan else [])
            ],
            'cloud': world.describe(self.folders.state),
        }

    def _settle(self, plan: Plan) -> None:
        present = self.plan()
        if present not in (None, plan):
            raise lab_exception.LabSettingInvalid(
                where=self._plan_file,
                what=f'this lab is {present}; take it away with '
                '`zsbm-lab down --wipe` first',
            )
        self.keep(plan)

    def keep(self, plan: Plan) -> None:
        """Write down what this lab is, for all commands that follow.

        :raises LabSettingInvalid: its machines are not as documented.
        """
        given = (
            pathlib.Path(plan.machines_file) if plan.machines_file else None
        )
        machines.names(given)
        self.folders.state.mkdir(parents=True, exist_ok=True)
        self.folders.state.chmod(0o755)
        if given:
            whole_file.write(
                self._machines_file, given.read_bytes(), mode=0o644
            )
        whole_file.write(
            self._plan_file, json.dumps(dataclasses.asdict(plan)), mode=0o644
        )

    def _displace(self) -> None:
        """Take the network over from another lab, if that one is dead.

        :raises LabSettingInvalid: it is alive.
        """
        owner = network.owner()
        if owner in (None, self.folders.state):
            return
        other = Lab(
            dataclasses.replace(self.folders, state=owner), self.report
        )
        if any(
            other.supervisor.pid(name) for name in other.supervisor.names()
        ):
            raise lab_exception.LabSettingInvalid(
                where=owner,
                what='this other lab is up; end it with '
                f'`ZSBM_LAB_DIR={owner} zsbm-lab down`',
            )
        network.delete()

    def _stop_what_is_outdated(self) -> None:
        """Stop processes of another version of this package.

        The machines run on: a new emulator finds them again.
        """
        package = pathlib.Path(zsbm_ironic.__file__).parent
        now = artifacts.digest(
            {
                str(path.relative_to(package)): path.read_bytes()
                for path in package.rglob('*.py')
            }
        )
        stamp = self.folders.state / 'code'
        if stamp.exists() and stamp.read_text() != now:
            self.report.say('The package changed: its processes start anew.')
            for name in self.supervisor.names():
                self.supervisor.stop(name)
        stamp.write_text(now)

    def _make_ssh_key(self) -> None:
        key = self.folders.ssh_key
        # Its public half is written last.
        if not key.with_suffix('.pub').exists():
            key.unlink(missing_ok=True)
            key.parent.mkdir(mode=0o700, exist_ok=True)
            process.run(
                [
                    'ssh-keygen',
                    '-q',
                    '-t',
                    'ed25519',
                    '-N',
                    '',
                    '-C',
                    'zsbm-lab',
                    '-f',
                    key,
                ],
                timeout_s=20,
            )
