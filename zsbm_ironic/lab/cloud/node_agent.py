# SPDX-License-Identifier: Apache-2.0
"""Reports servers to Neutron as hosts: ironic-neutron-agent.

Mechanism driver baremetal binds for such hosts alone. What the agent does for
overlays by itself is off: trunks on the switch ports of the hosts' own uplinks
take their flat network away, and OVN chooses the chassis of a router.
"""

from zsbm_ironic.lab import daemon, ironic
from zsbm_ironic.lab.cloud import api, store

NAME = 'ironic-neutron-agent'
REPORT_S = 10
# After which Neutron takes an agent for dead.
DOWN_S = 3 * REPORT_S


def settings(site: api.Site) -> ironic.Settings:
    """Return its options."""
    return {
        'DEFAULT': {
            'transport_url': store.broker_url(site.passwords['broker'])
        },
        'agent': {'report_interval': str(REPORT_S)},
        'baremetal_agent': {
            'enable_ha_chassis_group_alignment': 'false',
            'enable_router_ha_binding': 'false',
            'enable_router_ha_binding_events': 'false',
        },
        'ironic': site.system_account('ironic'),
        'l2vni': {
            'enable_l2vni_trunk_reconciliation': 'false',
            'enable_l2vni_trunk_reconciliation_events': 'false',
        },
        'neutron': site.account('neutron'),
    }


def prepared(site: api.Site) -> daemon.Daemon:
    """Return its process, with the options written; idempotent."""
    root = api.make_folder(site, NAME)
    path = root / 'agent.ini'
    ironic.write_config(path, settings(site), api.OWN)
    return daemon.Daemon(
        NAME,
        (site.programs.program(NAME), '--config-file', str(path)),
        api.identity(),
        api.variables(site, NAME),
    )
