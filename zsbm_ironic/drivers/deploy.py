# SPDX-License-Identifier: Apache-2.0
"""Deploy interface `zsbm`: upstream's agent deploy that knows our ramdisk.

What it does beyond `direct`: it refuses a ramdisk without our in-band part,
or with an old one, before anything is written, it takes out waits of upstream
that wait for nothing, and a rebuild knows nothing of the image before. Images,
config drive, root device hints, cleaning and rescue are upstream's. A
conductor has one object of it.
"""

import time
from typing import Any
from urllib import parse

from ironic.common import exception as ironic_exception
from ironic.common import states
from ironic.conductor import task_manager
from ironic.conductor import utils as conductor_lib
from ironic.conf import CONF
from ironic.drivers import base
from ironic.drivers import utils as driver_lib
from ironic.drivers.modules import agent_base, agent_client
from oslo_log import log
from oslo_utils import strutils

from zsbm_ironic.common import ironic_compat
from zsbm_ironic.drivers import (
    adaptation,
    config_drive,
    events,
    filled_in,
    image_verdicts,
    os_metrics,
    remedies,
    seen_network,
    told_ports,
    translate,
)
from zsbm_ironic.drivers import exception as drivers_exception
from zsbm_ironic.ramdisk import switches, version

LOG = log.getLogger(__name__)

# Raise it when a deploy calls an in-band step, or an argument of one, that
# an older ramdisk does not have; ramdisk/version.py says what came when.
MINIMUM_IN_BAND_VERSION = '1.2'
POWER_POLL_S = 1.0
# States in which a heartbeat moves the node on, or will once the conductor
# has let go of it.
AWAITED_STATES = frozenset(
    {
        states.DEPLOYWAIT,
        states.DEPLOYING,
        states.CLEANWAIT,
        states.CLEANING,
        states.SERVICEWAIT,
        states.SERVICING,
        states.RESCUEWAIT,
        states.RESCUING,
    }
)


class ZsbmDeploy(ironic_compat.AgentDeploy):
    """Writes an image by the agent in the deploy ramdisk."""

    def switch_interface(self, task: task_manager.TaskManager) -> None:
        """Have ports, where the cleaning of a provided node begins."""
        super().switch_interface(task)
        _have_ports(task)

    def restore_interface(self, task: task_manager.TaskManager) -> None:
        """Have ports, where a provided node is not cleaned."""
        super().restore_interface(task)
        _have_ports(task)

    def validate(self, task: task_manager.TaskManager) -> None:
        """Check what a deploy needs; contacts nothing.

        :raises InvalidParameterValue: the node is asked to boot something
            that is not written to disk, or as upstream.
        :raises MissingParameterValue: as upstream.
        """
        adaptation.choice(task.node)
        adaptation.keeps_identity(task.node)
        os_metrics.validate(task.node)
        # Not saved here: a node that is only asked about stays as it is.
        info = filled_in.without(task.node.instance_info)
        task.node.instance_info = info
        for key in ('boot_iso', 'ramdisk'):
            if info.get(key) and not info.get('image_source'):
                raise ironic_exception.InvalidParameterValue(
                    str(
                        drivers_exception.ImageNotForThisInterface(
                            node=task.node.name or task.node.uuid, key=key
                        )
                    )
                )
        super().validate(task)
        image_verdicts.refuse(task)

    @task_manager.require_exclusive_lock
    def prepare(self, task: task_manager.TaskManager) -> None:
        """Prepare a deploy as upstream; name node and remedy if it fails.

        :raises InstanceDeployFailure: the image cannot be reached, differs
            from its checksum, or has no room on this host.
        """
        _end_what_is_no_agent(task)
        if task.node.provision_state == states.DEPLOYING:
            config_drive.complete(task)
        try:
            super().prepare(task)
        except translate.NoRoom:
            raise
        except ironic_exception.ImageRefValidationFailed as exc:
            source = task.node.instance_info.get('image_source', '')
            why = str(exc.kwargs.get('reason') or exc).rstrip('.')
            query = parse.urlsplit(source).query
            raise ironic_exception.InstanceDeployFailure(
                str(
                    drivers_exception.ImageUnreachable(
                        node=task.node.name or task.node.uuid,
                        image=_without_secrets(source),
                        why=why.replace(query, '***') + '.'
                        if query
                        else f'{why}.',
                    )
                )
            ) from exc
        except (ironic_exception.IronicException, OSError) as exc:
            told = _with_remedy(task.node, exc)
            if told is None:
                raise
            raise told from exc

    def fill_in(self, task: task_manager.TaskManager) -> None:
        """Fill in what the image says, beginning at the operator's words."""
        given = filled_in.without(task.node.instance_info)
        task.node.instance_info = dict(given)
        try:
            super().fill_in(task)
        finally:
            # Upstream writes into the node as it goes, and fails in between.
            task.node.instance_info = filled_in.remember(
                given, task.node.instance_info
            )
        task.node.save()

    def process_next_step(
        self, task: task_manager.TaskManager, step_type: str, **kwargs: Any
    ) -> None:
        """Go on after an in-band step; add the remedy where it failed."""
        super().process_next_step(task, step_type, **kwargs)
        node = task.node
        if node.provision_state != states.DEPLOYFAIL or not node.last_error:
            return
        remedy = remedies.remedy_for(node.last_error)
        if remedy:
            failed = drivers_exception.DeployStepFailed(
                node=node.name or node.uuid,
                what=node.last_error,
                remedy=remedy,
            )
            conductor_lib.node_history_record(
                node,
                event=str(failed),
                event_type=states.DEPLOYING,
                error=True,
            )
            node.save()

    def heartbeat(
        self, task: task_manager.TaskManager, *args: Any, **kwargs: Any
    ) -> None:
        """Process a heartbeat, waiting a little for a node that is locked.

        Upstream drops it at once; the agent, told that all is well, says
        nothing more for 30 to 60 % of [api]ramdisk_heartbeat_timeout (90 to
        180 s by default). Here it is tried again as any other request,
        [conductor]node_locked_retry_attempts times.
        """
        if task.node.provision_state in AWAITED_STATES:
            try:
                task.upgrade_lock(purpose='heartbeat', retry=True)
            except ironic_exception.NodeLocked as exc:
                # Usual while the conductor itself is at work on the node.
                LOG.info('A heartbeat is left out: %s', exc)
                return
        first = not task.node.driver_internal_info.get('agent_url')
        if first and self.heartbeat_allowed(task.node):
            url = args[0] if args else kwargs.get('callback_url', '')
            events.note(task.node.uuid, 'agent', 'agent-up', url)
        super().heartbeat(task, *args, **kwargs)

    def execute_deploy_step(
        self, task: task_manager.TaskManager, step: dict[str, Any]
    ) -> Any:
        """Run a deploy step and note its start in the timeline."""
        events.note(task.node.uuid, 'conductor', 'deploy-step', step['step'])
        return super().execute_deploy_step(task, step)

    def execute_clean_step(
        self, task: task_manager.TaskManager, step: dict[str, Any]
    ) -> Any:
        """Run a clean step and note its start in the timeline."""
        events.note(task.node.uuid, 'conductor', 'clean-step', step['step'])
        return super().execute_clean_step(task, step)

    @base.deploy_step(priority=99)
    @task_manager.require_exclusive_lock
    def check_ramdisk(self, task: task_manager.TaskManager) -> None:
        """Compare the in-band part in the ramdisk with what we need.

        Runs right after the ramdisk is up, before every in-band step.

        :raises InstanceDeployFailure: it is not there, or too old.
        :raises AgentInProgress: the agent is busy; upstream runs the step
            again at the next heartbeat.
        """
        if not task.driver.storage.should_write_image(task):
            return
        node = task.node
        if 'agent_cached_deploy_steps' not in node.driver_internal_info:
            # Upstream's refresh gives up silently on a busy agent; what is
            # stored then is from an earlier boot, maybe another ramdisk.
            self.refresh_steps(task, 'deploy')
        if 'agent_cached_deploy_steps' not in node.driver_internal_info:
            raise ironic_exception.AgentInProgress(
                node=node.uuid, command='get_deploy_steps', error='busy'
            )
        versions = node.driver_internal_info.get('hardware_manager_version')
        problem = unsuitable(versions or {})
        if problem:
            raise ironic_exception.InstanceDeployFailure(
                str(
                    drivers_exception.RamdiskUnsuitable(
                        node=node.name or node.uuid,
                        found=problem,
                        wanted=MINIMUM_IN_BAND_VERSION,
                    )
                )
            )

    @base.deploy_step(priority=90)
    @task_manager.require_exclusive_lock
    def check_network(self, task: task_manager.TaskManager) -> str | None:
        """Ask the ramdisk what it sees of its network, before the image.

        A wrong cable, VLAN or MTU ends the deploy here, with what is wrong in
        its error. Left out where the network interface is not one of ours,
        and where the server boots from a volume: no ramdisk runs then.

        :returns: DEPLOYWAIT, None where it is left out.
        """
        if not task.driver.storage.should_write_image(task):
            return None
        arguments = seen_network.arguments(task)
        if arguments is None:
            return None
        step = {
            'interface': 'deploy',
            'step': 'check_network',
            'args': arguments,
        }
        client = agent_client.get_client(task)
        state: str = agent_base.execute_step(task, step, 'deploy', client)
        return state

    @base.deploy_step(priority=70)
    @task_manager.require_exclusive_lock
    def adapt_image(self, task: task_manager.TaskManager) -> str | None:
        """Make a written image boot on this server, in the ramdisk.

        What it changed is in node history and in driver_internal_info. Left
        out for a partition image, for one that is known to be fit, and where
        instance_info or a property of the image says never.

        :returns: DEPLOYWAIT, None where it is left out.
        """
        node = task.node
        adaptation.forget(node)
        if (
            not task.driver.storage.should_write_image(task)
            or not node.driver_internal_info.get('is_whole_disk_image')
            or adaptation.choice(node) is switches.Choice.NEVER
            or image_verdicts.is_fit(task)
        ):
            return None
        step = {
            'interface': 'deploy',
            'step': 'adapt_image',
            'args': adaptation.arguments(node, task.ports),
        }
        client = agent_client.get_client(task)
        state: str = agent_base.execute_step(task, step, 'deploy', client)
        return state

    @base.deploy_step(priority=60)
    @task_manager.require_exclusive_lock
    def prepare_instance_boot(self, task: task_manager.TaskManager) -> None:
        """Make the written disk bootable, as upstream, polling sooner."""
        config_drive.withdraw(task)
        ironic_compat.use_prompt_agent_client(task)
        super().prepare_instance_boot(task)

    @base.deploy_step(priority=40)
    @task_manager.require_exclusive_lock
    def tear_down_agent(self, task: task_manager.TaskManager) -> None:
        """Power the ramdisk off in-band; look for the result each second.

        Upstream looks every 5 s. Where it would not ask the agent to power
        off, this is upstream's step.
        """
        if not _agent_powers_off(task):
            super().tear_down_agent(task)
            _forget_agent(task.node)
            return
        if CONF.agent.deploy_logs_collect == 'always':
            driver_lib.collect_ramdisk_logs(task.node)
        if not _power_off_by_agent(task):
            LOG.warning(
                'The ramdisk of node %s did not power off: forcing it.',
                task.node.uuid,
            )
            conductor_lib.node_power_action(task, states.POWER_OFF)
        _forget_agent(task.node)


def _have_ports(task: task_manager.TaskManager) -> None:
    if task.node.provision_state == states.CLEANING:
        told_ports.create(task)


def _forget_agent(node: Any) -> None:
    """Take away what is known of an agent that runs no more.

    With [deploy]fast_track, upstream takes an OS that was just started for it
    (agent_is_alive, conductor/utils.py), so that a rebuild fails.
    """
    conductor_lib.wipe_internal_info_on_power_off(node)
    node.del_driver_internal_info('agent_last_heartbeat')
    node.save()


def _end_what_is_no_agent(task: task_manager.TaskManager) -> None:
    """Power an OS off that upstream would take for the agent.

    Within [deploy]fast_track_timeout after an inspection it asks for no more
    than that the power is on.
    """
    node = task.node
    if (
        node.provision_state == states.DEPLOYING
        and conductor_lib.fast_track_able(task)
        and not node.driver_internal_info.get('agent_url')
        and not node.disable_power_off
    ):
        conductor_lib.node_power_action(task, states.POWER_OFF)


def unsuitable(versions: dict[str, str]) -> str | None:
    """Say what is wrong with a ramdisk, None where nothing is.

    :param versions: version by name of each hardware manager in it, as the
        agent reported them.
    """
    found = versions.get(version.MANAGER_NAME)
    if found is None:
        return 'no in-band part of zsbm-ironic (a stock ramdisk)'
    try:
        too_old = version.parse(found) < version.parse(MINIMUM_IN_BAND_VERSION)
    except ValueError:
        return f'in-band part {found!r}, which is not a version'
    return f'in-band part {found}' if too_old else None


def _with_remedy(
    node: Any, exc: Exception
) -> ironic_exception.InstanceDeployFailure | None:
    """Return an error that names node and remedy, None where none is known."""
    no_room = translate.no_room(node, exc)
    if no_room:
        return no_room
    remedy = remedies.remedy_for(str(exc))
    if not remedy:
        return None
    return ironic_exception.InstanceDeployFailure(
        str(
            drivers_exception.DeployStepFailed(
                node=node.name or node.uuid, what=str(exc), remedy=remedy
            )
        )
    )


def _without_secrets(url: str) -> str:
    """Return a URL without login and query, which may hold a signature."""
    parts = parse.urlsplit(url)
    host = parts.netloc.rpartition('@')[2]
    return parse.urlunsplit((parts.scheme, host, parts.path, '', ''))


def _agent_powers_off(task: task_manager.TaskManager) -> bool:
    """Return whether upstream's step would ask the agent to power off."""
    forced = strutils.bool_from_string(
        task.node.driver_info.get('deploy_forces_oob_reboot', False)
    )
    supported = task.driver.power.get_supported_power_states(task)
    return not (
        forced
        or task.node.disable_power_off
        or states.POWER_ON not in supported
    )


def _power_off_by_agent(task: task_manager.TaskManager) -> bool:
    """Ask the agent to power off; return whether the machine went off.

    The time limit is upstream's: [agent]post_deploy_get_power_state_retries
    times post_deploy_get_power_state_retry_interval.
    """
    try:
        agent_client.get_client(task).power_off(task.node)
    except ironic_exception.IronicException as exc:
        # The machine may have gone off before it could answer.
        LOG.warning('Agent did not confirm its power off: %s', exc)
    deadline = time.monotonic() + (
        CONF.agent.post_deploy_get_power_state_retries
        * CONF.agent.post_deploy_get_power_state_retry_interval
    )
    while True:
        try:
            if task.driver.power.get_power_state(task) == states.POWER_OFF:
                return True
        except ironic_exception.IronicException as exc:
            LOG.warning('Power state of node %s: %s', task.node.uuid, exc)
        if time.monotonic() + POWER_POLL_S > deadline:
            return False
        time.sleep(POWER_POLL_S)
