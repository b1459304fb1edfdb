# SPDX-License-Identifier: Apache-2.0
"""At which addresses the systems of servers may be reached.

What a person wrote, what zsbm-netboot leases, and what Neutron gave to the
VIFs of a server. Called by `systems`, which has them judged.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ironic import objects
from ironic.common import neutron
from ironic.drivers.modules.network import common as network_common
from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk
from oslo_log import log

from zsbm_ironic.drivers import dhcp, os_metrics
from zsbm_ironic.monitoring import discovery

LOG = log.getLogger(__name__)

# Ports of Neutron in one question: their ids are in its URL.
AT_ONCE = 50


class Addresses:
    """Finds claims; remembers what Neutron said for when it is silent."""

    def __init__(self) -> None:
        self._of_vif: dict[str, tuple[str, ...]] = {}

    def claims(
        self, context: Any, nodes: Mapping[int, Any]
    ) -> Iterator[discovery.Claim]:
        """Yield what may be the address of each node.

        :param nodes: by id, with uuid, instance_info, network_interface.
        """
        for node in nodes.values():
            written = node.instance_info.get(os_metrics.ADDRESS)
            if written:
                yield discovery.Claim(node.uuid, str(written), written=True)
        vifs: dict[str, str] = {}
        for port in (
            *objects.Port.list(context),
            *objects.Portgroup.list(context),
        ):
            node = nodes.get(port.node_id)
            if node is None:
                continue
            if node.network_interface in dhcp.WITHOUT_VIF:
                for address in port.internal_info.get(dhcp.ADDRESSES) or ():
                    yield discovery.Claim(node.uuid, address, leased=True)
                continue
            vif = network_common.VIFPortIDMixin().get_current_vif(None, port)
            if vif:
                vifs[vif] = node.uuid
        self._ask(context, vifs)
        for vif, uuid in vifs.items():
            for address in self._of_vif.get(vif, ()):
                yield discovery.Claim(uuid, address)

    def _ask(self, context: Any, vifs: Iterable[str]) -> None:
        """Learn the fixed addresses of ports of Neutron."""
        wanted = sorted(vifs)
        if not wanted:
            return
        try:
            with neutron.get_client(
                context=context, auth_from_config=True
            ) as client:
                found = {
                    port.id: tuple(
                        one['ip_address'] for one in port.fixed_ips or ()
                    )
                    for start in range(0, len(wanted), AT_ONCE)
                    for port in client.ports(
                        id=wanted[start : start + AT_ONCE]
                    )
                }
        except (sdk.SDKException, auth.ClientException) as exc:
            LOG.warning(
                'Neutron does not tell the addresses of servers: %s. Systems '
                'are scraped where they were.',
                exc,
            )
            return
        self._of_vif = found
