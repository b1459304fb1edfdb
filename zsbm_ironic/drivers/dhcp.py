# SPDX-License-Identifier: Apache-2.0
"""DHCP provider `zsbm`: tells zsbm-netboot what each MAC is served.

One provider serves all nodes of a conductor, those of stock hardware types
and boot interfaces too. A port has a fixed address: from our ranges, kept in
its `internal_info`, where no Neutron is; the fixed IP of the VIF that it is
bound to where one is. Where Neutron's own DHCP serves the VIF's subnet, the
options go to Neutron, and zsbm-netboot does not answer that MAC.
"""

import ipaddress
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ironic import objects
from ironic.common import exception as ironic_exception
from ironic.common import neutron, states
from ironic.conductor import task_manager
from ironic.dhcp import base
from ironic.dhcp import neutron as neutron_dhcp
from oslo_log import log as logging

from zsbm_ironic.common import exception
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import events
from zsbm_ironic.netboot import (
    desired,
    reconcile,
    settings,
    status,
    subnets,
)

LOG = logging.getLogger(__name__)

# Key of port.internal_info: the addresses of the port, one a subnet.
ADDRESSES = 'zsbm_addresses'
# Network interfaces that bind no VIF: addresses come from our ranges.
WITHOUT_VIF = ('noop', 'ironic-networking', 'zsbm-vlan')
# dhcp_options_for_instance() of ironic.common.pxe_utils writes its names
# like this: '67', 'tag:ipxe,67', 'tag:!ipxe,67'.
_NAME = re.compile(r'(?:tag:(?P<no>!?)ipxe,)?(?P<code>\d+)')
# What the node runs in these is none of ours to boot again; in ACTIVE and
# others it is the boot interface that decides.
WITHOUT_BOOT = frozenset(
    (
        states.ENROLL,
        states.MANAGEABLE,
        states.AVAILABLE,
        states.INSPECTFAIL,
        states.CLEANFAIL,
        states.DEPLOYFAIL,
        states.RESCUEFAIL,
        states.SERVICEFAIL,
    )
)


def parse_options(
    options: Iterable[Mapping[str, Any]],
) -> tuple[desired.Option, ...]:
    """Read the option list that ironic passes to a provider.

    IPv6 options and those that a record may not hold are left out.
    """
    found = []
    for option in options:
        match = _NAME.fullmatch(str(option.get('opt_name')))
        value = option.get('opt_value')
        if match is None or value is None or option.get('ip_version') == 6:
            continue
        code = int(match['code'])
        if code in desired.OPTION_CODES:
            when = {None: 'always', '': 'ipxe', '!': 'not-ipxe'}[match['no']]
            found.append(desired.Option(code, str(value), when))
    return tuple(found)


def script_of(options: Iterable[desired.Option]) -> str | None:
    """Return the URL of the iPXE script among the options."""
    for option in options:
        if option.code == 67 and option.when == 'ipxe':
            return option.value
    return None


class ZsbmDHCP(base.BaseDHCP):
    """Writes desired state; zsbm-netboot serves it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reconciler: reconcile.Reconciler | None = None

    @property
    def state(self) -> desired.DesiredState:
        """The directory of records."""
        return desired.DesiredState(CONF.zsbm_netboot.desired_dir)

    def supports_ipxe_tag(self) -> bool:
        """Say that iPXE is told apart from firmware."""
        return True

    def check_service(self) -> status.Heartbeat:
        """Return the heartbeat of a service that runs.

        :raises NetbootServiceDown: it does not.
        """
        group = CONF.zsbm_netboot
        return status.Status(group.status_dir).check_alive(
            CONF.host, group.service_timeout_s
        )

    def update_port_dhcp_opts(
        self,
        port_id: str,
        dhcp_options: Sequence[Mapping[str, Any]],
        context: Any = None,
    ) -> None:
        """Pass a changed client-id of a VIF on to Neutron.

        The record takes it from the port itself, at the next reconciliation.
        """
        neutron_dhcp.NeutronDHCPApi().update_port_dhcp_opts(
            port_id, dhcp_options, context=context
        )

    def update_dhcp_opts(
        self,
        task: task_manager.TaskManager,
        options: Sequence[Mapping[str, Any]],
        vifs: Any = None,
    ) -> None:
        """Have the node's ports served with what they are to boot.

        :param options: see ironic.common.pxe_utils.
        :param vifs: not used: what is bound now is what counts.
        :raises FailedToUpdateDHCPOptOnPort: no address left, a value that
            cannot be served, or the service does not run.
        """
        del vifs
        try:
            if task.node.provision_state != states.ACTIVE:
                self.check_service()
            served = [
                self._serve(task, port, options)
                for port in task.ports
                if port.pxe_enabled
            ]
        except (exception.ZsbmError, OSError) as exc:
            raise ironic_exception.FailedToUpdateDHCPOptOnPort(
                f'Node {task.node.name or task.node.uuid}: {exc}'
            ) from exc
        if not any(served):
            raise ironic_exception.FailedToUpdateDHCPOptOnPort(
                f'Node {task.node.name or task.node.uuid} has no port that '
                'can be served: none is pxe_enabled and, with the network '
                f'interface {task.node.network_interface}, has an address. '
                'Create a port with the MAC of a NIC on the provisioning '
                'network.'
            )
        events.note(
            task.node.uuid,
            'conductor',
            'boot-served',
            ' '.join(filter(None, served)),
        )

    def clean_dhcp_opts(self, task: task_manager.TaskManager) -> None:
        """Have the node's ports served with their address alone."""
        for port in task.ports:
            try:
                with self._lock:
                    record = self.state.read(port.address)
                    if record is not None and record.boots:
                        self.state.write(record.without_boot())
            except (exception.ZsbmError, OSError) as exc:
                raise ironic_exception.FailedToCleanDHCPOpts(
                    node=task.node.uuid, reason=exc
                ) from exc

    def get_ip_addresses(self, task: task_manager.TaskManager) -> list[str]:
        """Return the addresses that the node's ports are served."""
        addresses: list[str] = []
        for port in task.ports:
            try:
                record = self.state.read(port.address)
            except exception.DesiredRecordInvalid as exc:
                LOG.warning('Node %s: %s', task.node.uuid, exc)
                continue
            if record is not None:
                addresses += record.addresses
        return addresses

    def reconcile(
        self, ports: Mapping[str, reconcile.PortFacts], read_at: float
    ) -> None:
        """Make the records follow the ports; see netboot.reconcile."""
        with self._lock:
            if self._reconciler is None:
                self._reconciler = reconcile.Reconciler(self.state)
            self._reconciler.reconcile(ports, read_at)

    def assign(self, context: Any, port: Any) -> tuple[str, ...]:
        """Return the addresses of a port, assigned and saved if need be.

        :param port: of a node that the caller has locked.
        :raises NetbootRangeUsedUp: none is left.
        :raises NetbootSettingInvalid: the subnets cannot be read.
        """
        ((_, addresses),) = self.assign_each(context, [port])
        return addresses

    def assign_each(
        self, context: Any, ports: Iterable[Any]
    ) -> Iterator[tuple[Any, tuple[str, ...]]]:
        """Yield ports with their addresses; as `assign`, for all of a node.

        Who has which address is asked once.
        """
        lines = subnets.parse(CONF.zsbm_netboot.subnets or ())
        with self._lock:
            held = _held(context)
            own = set(_own_addresses())
            for port in ports:
                current = tuple(port.internal_info.get(ADDRESSES) or ())
                held[port.uuid] = ()
                taken = own.union(*held.values())
                chosen = reconcile.choose_addresses(
                    port.address,
                    port.physical_network,
                    current,
                    lines,
                    {ipaddress.IPv4Address(text) for text in taken},
                )
                if chosen != current:
                    port.internal_info = {
                        **port.internal_info,
                        ADDRESSES: list(chosen),
                    }
                    port.save()
                held[port.uuid] = chosen
                yield port, chosen

    def _serve(
        self,
        task: task_manager.TaskManager,
        port: Any,
        options: Sequence[Mapping[str, Any]],
    ) -> str:
        vif = current_vif(task, port)
        served_by = 'zsbm'
        if vif is not None:
            addresses, served_by = _of_neutron(task.context, vif)
            if served_by == 'neutron':
                self.update_port_dhcp_opts(vif, options, task.context)
        elif task.node.network_interface in WITHOUT_VIF:
            addresses = self.assign(task.context, port)
        else:
            return ''
        chosen = parse_options(options)
        script = None
        if getattr(task.driver.boot, 'loader_by_architecture', False):
            script, chosen = script_of(chosen), ()
        record = desired.Record(
            mac=port.address,
            node=task.node.uuid,
            port=port.uuid,
            addresses=addresses,
            vif=vif,
            client_id=client_id(port),
            served_by=served_by,
            script=script,
            options=chosen,
        )
        with self._lock:
            self.state.write(record)
        return f'{port.address} {" ".join(addresses)}'


def client_id(port: Any) -> str | None:
    """Return the DHCP client identifier of an InfiniBand port."""
    value = port.extra.get('client-id')
    return str(value).lower() if value else None


def current_vif(task: task_manager.TaskManager, port: Any) -> str | None:
    """Return the Neutron port that a port, or its port group, is bound to."""
    vif = task.driver.network.get_current_vif(task, port)
    if vif is None and port.portgroup_id is not None:
        for group in task.portgroups:
            if group.id == port.portgroup_id:
                vif = task.driver.network.get_current_vif(task, group)
    return vif


def _held(context: Any) -> dict[str, tuple[str, ...]]:
    """Return the addresses that ports have, by the port's UUID."""
    return {
        port.uuid: tuple(port.internal_info.get(ADDRESSES) or ())
        for port in objects.Port.list(context)
    }


def _own_addresses() -> Iterator[str]:
    """Yield what this host has on the network that it serves."""
    group = CONF.zsbm_netboot
    if group.listen_address:
        yield group.listen_address
    elif group.interface:
        try:
            yield str(settings.interface_address(group.interface))
        except OSError as exc:
            LOG.warning('%s has no address: %s', group.interface, exc)


def _of_neutron(context: Any, vif: str) -> tuple[tuple[str, ...], str]:
    with neutron.get_client(context=context) as client:
        port = client.get_port(vif)
        fixed = [
            one
            for one in port.fixed_ips or ()
            if ipaddress.ip_address(one['ip_address']).version == 4
        ]
        served = any(
            client.get_subnet(one['subnet_id']).is_dhcp_enabled
            for one in fixed
        )
    addresses = tuple(one['ip_address'] for one in fixed)
    return addresses, 'neutron' if served else 'zsbm'
