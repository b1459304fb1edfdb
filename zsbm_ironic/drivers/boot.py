# SPDX-License-Identifier: Apache-2.0
"""Boot interfaces `zsbm-pxe` and `zsbm-http`: iPXE on every architecture.

Upstream's iPXE interfaces do the work; these have zsbm-netboot choose the
loader by what the firmware says it is, refuse to boot while it does not run,
and end what they served. One of them also owns the periodic task of the
provider `zsbm`, for all nodes of the conductor, because providers get none.
"""

import pathlib
from typing import Any

from ironic.common import dhcp_factory, states
from ironic.common import exception as ironic_exception
from ironic.conductor import periodics, task_manager
from ironic.drivers import base
from ironic.drivers.modules import deploy_utils, ipxe
from oslo_log import log as logging

from zsbm_ironic.common import exception
from zsbm_ironic.conf import CONF
from zsbm_ironic.drivers import (
    boot_watch,
    dhcp,
    enrolment,
    events,
    told_ports,
    translate,
)
from zsbm_ironic.netboot import arch, subnets

LOG = logging.getLogger(__name__)


def provider() -> dhcp.ZsbmDHCP | None:
    """Return our provider, None where this conductor uses another."""
    own = dhcp_factory.DHCPFactory().provider
    return own if isinstance(own, dhcp.ZsbmDHCP) else None


class ZsbmBootMixin:
    """What both boot interfaces add to upstream's."""

    loader_by_architecture = True

    def __init__(self) -> None:
        super().__init__()
        absent = set()
        for root in (CONF.deploy.http_root, CONF.pxe.tftp_root):
            absent.update(
                arch.place_loaders(
                    CONF.zsbm_netboot.loaders, pathlib.Path(root)
                )
            )
        for architecture in absent:
            LOG.warning(
                'No loader for %s: the file that [zsbm_netboot]loaders '
                'names is not there.',
                architecture.name,
            )

    def validate(self, task: task_manager.TaskManager) -> None:
        """Check the node, and that somebody serves its boot.

        Reads a file of this host and contacts nobody. A node may be without
        a port for as long as it gets some when it is provided.
        """
        with told_ports.expected(task):
            super().validate(task)  # type: ignore[misc]
        self._check_service()

    def validate_inspection(self, task: task_manager.TaskManager) -> None:
        """Check the node for inspection.

        A node whose BMC tells its MACs may come without a port: ironic makes
        them when the inspection starts.
        """
        self._check_service()
        if not task.ports and told_ports.tells(task.node):
            if task.node.provision_state != states.INSPECTING:
                return
            told_ports.look_again(task)
        try:
            super().validate_inspection(task)  # type: ignore[misc]
        except ironic_exception.UnsupportedDriverExtension as exc:
            if task.ports:
                raise
            raise ironic_exception.UnsupportedDriverExtension(
                f'Node {task.node.uuid} has no port and its BMC told no MAC. '
                'Create one with the MAC of the NIC that boots: openstack '
                f'baremetal port create --node {task.node.uuid} MAC'
            ) from exc

    @base.verify_step(priority=40)
    def create_ports(self, task: task_manager.TaskManager) -> None:
        """Create the ports that the BMC tells of, if none come later.

        After the management interface has found out who the BMC is.
        """
        if enrolment.is_enrolled(task) and not told_ports.come(task):
            told_ports.create(task)

    def prepare_ramdisk(
        self, task: task_manager.TaskManager, ramdisk_params: dict[str, Any]
    ) -> None:
        """Prepare the boot of the ramdisk, if somebody serves it.

        :raises NoRoom: its kernel and image do not fit on this host.
        """
        self._check_service()
        try:
            super().prepare_ramdisk(task, ramdisk_params)  # type: ignore[misc]
        except (ironic_exception.IronicException, OSError) as exc:
            full = translate.no_room(task.node, exc)
            if full is None:
                raise
            raise full from exc

    def prepare_instance(self, task: task_manager.TaskManager) -> None:
        """Prepare the boot of the instance; from disk, nothing is served."""
        super().prepare_instance(task)  # type: ignore[misc]
        local = deploy_utils.get_boot_option(task.node) not in (
            'ramdisk',
            'kickstart',
        ) and not deploy_utils.is_iscsi_boot(task)
        own = provider()
        if own and local and not CONF.pxe.enable_netboot_fallback:
            own.clean_dhcp_opts(task)
            events.note(task.node.uuid, 'conductor', 'boot-from-disk')

    def clean_up_ramdisk(self, task: task_manager.TaskManager) -> None:
        """Take the ramdisk away, and the offer to boot it."""
        super().clean_up_ramdisk(task)  # type: ignore[misc]
        own = provider()
        if own:
            own.clean_dhcp_opts(task)
            events.note(task.node.uuid, 'conductor', 'boot-taken-away')

    @periodics.periodic(
        spacing=lambda: CONF.zsbm_netboot.reconcile_interval_s,
        enabled=lambda: CONF.dhcp.dhcp_provider == 'zsbm',
        run_immediately=True,
    )
    def _keep_desired_state(self, manager: Any, context: Any) -> None:
        """Make desired state follow all nodes of this conductor."""
        own = provider()
        if own is None or not self._owns_periodic():
            return
        boot_watch.BootWatch(own, context).run(manager)

    def _owns_periodic(self) -> bool:
        # Ironic collects it once from each class; one of them is enough.
        if 'zsbm-pxe' in CONF.enabled_boot_interfaces:
            return isinstance(self, ZsbmPxeBoot)
        return True

    def _check_service(self) -> None:
        own = provider()
        if own is None:
            return
        try:
            if not subnets.parse(CONF.zsbm_netboot.subnets or ()):
                raise exception.NetbootSettingInvalid(
                    option='subnets', problem='at least one is needed.'
                )
            own.check_service()
        except exception.ZsbmError as exc:
            raise ironic_exception.InvalidParameterValue(str(exc)) from exc


class ZsbmPxeBoot(ZsbmBootMixin, ipxe.iPXEBoot):
    """Network boot by PXE, or by HTTP where the firmware asks for that."""


class ZsbmHttpBoot(ZsbmBootMixin, ipxe.iPXEHttpBoot):
    """Network boot for which the BMC is asked for UEFI HTTP boot."""
