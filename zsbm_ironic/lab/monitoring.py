# SPDX-License-Identifier: Apache-2.0
"""What the conductors of a lab serve to a Prometheus in its network.

Called by `up --monitoring`. Prometheus, and nginx before the pushes, are
whoever's wants figures: conductors have where they will be looked for.
"""

from zsbm_ironic.lab import ironic, layout

# As documented: a figure is at most this, a reading and a scrape old.
INTERVAL_S = 30
LISTEN = '127.0.0.1:9609'
PUSH_LISTEN = '127.0.0.1:9611'
PUSH_PORT = 9610
CA_FILE = 'push-ca.pem'


def settings(conductor: ironic.Conductor) -> ironic.Settings:
    """Return the options of a conductor that is watched."""
    return {
        'zsbm_monitoring': {
            'enabled': 'true',
            'interval_s': str(INTERVAL_S),
            'listen': LISTEN,
            'os_networks': layout.PROVISIONING_CIDR,
            'push_listen': PUSH_LISTEN,
            'push_url': f'https://{conductor.address}:{PUSH_PORT}',
            'push_ca_file': f'{conductor.root}/{CA_FILE}',
        }
    }
