# SPDX-License-Identifier: Apache-2.0
"""The only place that touches what ironic keeps private.

Everything here overrides, calls or reads something that ironic may change
without notice: an underscored name or the conductor's manager. A test says
for each that it still exists in every supported release. Called by
`drivers` and `status`; nothing outlives a call.
"""

import hmac
import pathlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sushy
from ironic.common import exception as ironic_exception
from ironic.conductor import configdrive_utils
from ironic.conductor import manager as conductor_manager
from ironic.conf import CONF
from ironic.conf import opts as ironic_opts
from ironic.drivers.modules import agent, agent_client
from ironic.drivers.modules.redfish import utils as redfish_sessions
from oslo_config import cfg
from sushy import connector as sushy_connector

from zsbm_ironic.bmc import credentials, trust
from zsbm_ironic.bmc import redfish as bmc_redfish
from zsbm_ironic.conf import opts

FIRST_POLL_S = 0.25


class PromptAgentClient(agent_client.AgentClient):
    """An agent client that notices soon when a command has finished.

    Upstream's waits a fixed 6 s between two looks, whatever
    [agent]command_wait_interval says: its decorator reads the option when the
    module is imported, which is before a conductor has read its
    configuration. This one looks after 0.25 s, then half as often each time
    until the option's interval is reached; the time limit is upstream's.
    """

    def _wait_for_command(self, node: Any, method: str) -> dict[str, Any]:
        longest_s = CONF.agent.command_wait_interval
        deadline = time.monotonic() + (
            CONF.agent.command_wait_attempts * longest_s
        )
        pause_s = min(FIRST_POLL_S, longest_s)
        while True:
            result = self.get_last_command_status(node, method)
            if result and result.get('command_status') != 'RUNNING':
                self._raise_if_typeerror(result, node, method)
                return result
            if time.monotonic() + pause_s > deadline:
                raise ironic_exception.AgentCommandTimeout(
                    command=method, node=node.uuid
                )
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, longest_s)


def use_prompt_agent_client(task: Any) -> None:
    """Make the rest of `task` talk to the agent by PromptAgentClient."""
    task.cached_agent_client = PromptAgentClient()


class AgentDeploy(agent.AgentDeploy):
    """Upstream's agent deploy, of which one step more may be extended."""

    def fill_in(self, task: Any) -> None:
        """Write what is to be known of the image into instance_info."""
        super()._update_instance_info(task)

    def _update_instance_info(self, task: Any) -> None:
        self.fill_in(task)


def configuration(files: Sequence[str]) -> cfg.ConfigOpts:
    """Return ironic's and our options as these files set them.

    A new object: the process-wide CONF, which a conductor in this process
    would read, stays as it is.

    :param files: later ones win; none means where ironic looks by itself.
    :raises oslo_config.cfg.Error: a file that cannot be read or parsed.
    """
    conf = cfg.ConfigOpts()
    for group, options in ironic_opts.list_opts():
        # Those of keystoneauth's plugins are required in the sample only.
        some = [option for option in options if not option.required]
        conf.register_opts(some, None if group == 'DEFAULT' else group)
    for module in opts.MODULES:
        module.register_opts(conf)
    conf(
        [],
        project='ironic',
        default_config_files=list(files) or None,
        default_config_dirs=[] if files else None,
    )
    return conf


class PinnedSessionCache(redfish_sessions.SessionCache):
    """Upstream's cache of Redfish sessions, which knows pinned certificates.

    All of upstream's Redfish interfaces log in through this class. What they
    can be told about trust is true, false or a CA file, and a CA file cannot
    make a factory certificate's name match the BMC's address. A path of our
    `PinStore` therefore means: exactly this certificate, under any name. All
    other values are upstream's business.

    Upstream finds a session by a hash of its password that costs a third of
    a second of CPU at each use; one with a key that never leaves this
    process is as safe, and costs nothing.
    """

    pins: Callable[[], trust.PinStore]
    _key = secrets.token_bytes(32)

    def __init__(self, driver_info: dict[str, Any]) -> None:
        """Note what to log in to; the session is looked up on entering."""
        self._driver_info = driver_info
        password = (driver_info.get('password') or '').encode()
        self._session_key = (
            driver_info.get('address'),
            driver_info.get('username'),
            driver_info.get('verify_ca'),
            hmac.digest(self._key, password, 'sha256'),
        )

    def __enter__(self) -> sushy.Sushy:
        info = self._driver_info
        pinned = self.pins().fingerprint(info.get('verify_ca'))
        if pinned is None:
            return super().__enter__()
        cached = self._sessions.get(self._session_key)
        if cached is not None:
            return cached
        transport = sushy_connector.Connector(
            info['address'],
            connect_timeout=CONF.redfish.connect_timeout,
            default_request_timeout=CONF.redfish.read_timeout,
        )
        bmc_redfish.mount(transport, credentials.Trust(fingerprint=pinned))
        made = sushy.Sushy(
            info['address'],
            auth=self.AUTH_CLASSES[info['auth_type']](
                username=info['username'], password=info['password']
            ),
            root_prefix=info.get('root_prefix', '/redfish/v1/'),
            connector=transport,
        )
        # Without one nobody has looked at the password yet, see RedfishBmc.
        if bmc_redfish.session_of(made):
            self._end_outdated(transport)
        if CONF.redfish.connection_cache_size:
            self._sessions[self._session_key] = made
            if len(self._sessions) > CONF.redfish.connection_cache_size:
                self._expire_oldest_session()
        return made

    def _end_outdated(self, transport: sushy_connector.Connector) -> None:
        """Give back the slots of sessions with another pin or password."""
        whose = self._session_key[:2]
        for key in [one for one in self._sessions if one[:2] == whose]:
            path = bmc_redfish.session_of(self._sessions.pop(key))
            if path:
                bmc_redfish.end_session(transport, path, key[1])


def redfish_sensors(management: Any, node: Any, system: Any) -> dict[str, Any]:
    """Return what upstream's `get_sensors_data` tells of a system.

    Upstream's reads the system anew each time, on a connection that it closes
    after each question.

    :param management: upstream's management interface.
    :param system: sushy's.
    """
    found = {
        'Extra': {
            'Manufacturer': system.manufacturer,
            'Model': system.model,
            'UUID': system.uuid,
        },
        **management._process_chassis_sensors(node, system),
        'Drive': {},
    }
    for drives in (
        management._process_simple_storage_sensors,
        management._process_storage_sensors,
    ):
        try:
            return {**found, **drives(node, system)}
        except sushy.exceptions.MissingAttributeError:
            continue
    return found


def redfish_log_outs() -> list[Callable[[], None]]:
    """Return what gives back the slots that upstream's interfaces hold.

    They never do so themselves: each conductor that is started again would
    take another slot of each BMC.
    """
    held = redfish_sessions.SessionCache._sessions
    found = [one._auth.close for one in list(held.values())]
    held.clear()
    return found


def trust_pinned_certificates(pins: Callable[[], trust.PinStore]) -> None:
    """Let upstream's Redfish interfaces log in to pinned BMCs.

    Replaces the class that upstream's module looks up at each login; nodes
    without a pin, of any type, are served by upstream's code as before.
    """
    PinnedSessionCache.pins = staticmethod(pins)
    redfish_sessions.SessionCache = PinnedSessionCache


# What a conductor that starts writes on nodes that it was at work on when it
# died (BaseConductorManager._correct_stuck_states).
LOST_AT_RESTART = "can't be resumed by conductor"


def is_shutting_down(manager: Any) -> bool:
    """Whether a conductor's manager was told to end.

    Its `iter_nodes` stops in the middle then, without a word.
    """
    return bool(manager._shutdown.is_set())


def at_shutdown(manager: Any, function: Callable[[], None]) -> None:
    """Run a function as soon as a conductor is told to end.

    Its process ends by os._exit: what is registered with atexit is never
    run there. The conductor waits for the function; a second call for the
    same manager changes nothing.
    """
    told = manager._shutdown.set
    if getattr(told, 'ours', False):
        return

    def tell() -> None:
        told()
        function()

    tell.ours = True  # type: ignore[attr-defined]
    manager._shutdown.set = tell


def sync_power_state(manager: Any, task: Any) -> None:
    """Let ironic look at a node's power and do what it does about it.

    As one turn of the conductor's own loop, its count of failures included.

    :param manager: the conductor manager that a periodic task is given.
    """
    counts, uuid = manager.power_state_sync_count, task.node.uuid
    count = conductor_manager.do_sync_power_state(task, counts[uuid])
    if count:
        counts[uuid] = count
    else:
        counts.pop(uuid, None)


# What network interfaces are asked to validate while a wiring is being
# mended, or undone (conductor/manager.py, update_port to vif_detach).
MENDING = frozenset(
    {
        'attach vif',
        'detach vif',
        'list vifs',
        'port update',
        'update portgroup',
    }
)


def is_mending_ports(task: Any) -> bool:
    """Say whether a task changes the ports of a node, or their networks.

    Ironic validates the network interface first, by what is there so far.
    """
    return task._purpose in MENDING


def rewrite_config_drive(
    source: Any, target: pathlib.Path, files: Mapping[str, str], node_uuid: str
) -> None:
    """Write a config drive again, with some files in place of its own.

    :param source: pycdlib.PyCdlib, opened.
    :param target: ISO 9660 image that is written.
    :param files: contents by their path in the drive.
    :raises ProcessExecutionError: mkisofs is not there, or fails.
    """
    configdrive_utils.regenerate_iso(
        source, str(target), dict(files), node_uuid=node_uuid
    )


def vlan_of_purpose(interface: Any, task: Any, purpose: str) -> Any:
    """Return the SwitchPortConfig of a purpose, None where none is set.

    :param interface: IronicNetworking.
    :raises InvalidParameterValue: it cannot be read.
    """
    return interface._get_switch_port_config(task, purpose)
