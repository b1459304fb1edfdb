# SPDX-License-Identifier: Apache-2.0
"""The only place that touches what ironic keeps private.

Everything here overrides, calls or reads something that ironic may change
without notice: an underscored name or the conductor's manager. A test says
for each that it still exists in every supported release. Called by
`drivers` and `status`; nothing outlives a call.
"""

import time
from typing import Any

from ironic.common import exception as ironic_exception
from ironic.conf import CONF
from ironic.drivers.modules import agent_client

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
