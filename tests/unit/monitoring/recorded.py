# SPDX-License-Identifier: Apache-2.0
"""Series as a conductor and the exporter of an OS give them, for promtool."""

from typing import Any

MINUTES = 90
NODE = {'node_uuid': 'u1', 'node_name': 'web-1'}
INFO = {
    **NODE,
    'owner': 'ops',
    'lessee': 'shop',
    'resource_class': 'big',
    'rack': 'R7',
}
OS = {'node_uuid': 'u1', 'instance': '10.0.0.5:9100', 'job': 'baremetal-os'}
FIRING = (
    'count by (alertname, severity, concerns, owner, lessee, node_name) '
    '(ALERTS{alertstate="firing"})'
)

Series = dict[str, str]


def series(name: str, values: str | float, **labels: str) -> Series:
    """Return one of input_series.

    :param values: in promtool's notation, or the same all the time.
    """
    said = ','.join(f'{key}="{value}"' for key, value in labels.items())
    if not isinstance(values, str):
        values = f'{values}x{MINUTES}'
    return {'series': f'{name}{{{said}}}', 'values': values}


def bmc(name: str, values: str | float, **labels: str) -> Series:
    """Return a metric of the conductor."""
    return series(name, values, **NODE, **labels)


def system(name: str, values: str | float, **labels: str) -> Series:
    """Return a metric of the server's own exporter."""
    return series(name, values, **OS, **labels)


def sensor(kind: str, state: int) -> Series:
    """Return the state of one sensor."""
    return bmc('baremetal_sensor_state', state, sensor='S1', kind=kind)


def healthy(maintenance: bool = False) -> list[Series]:
    """Return what is told of a server that nothing is wrong with."""
    return [
        series('baremetal_node_info', 1, **INFO),
        bmc('baremetal_maintenance', int(maintenance)),
        bmc('baremetal_deployed', 1),
        bmc('baremetal_power_state', 1),
        bmc('baremetal_power_wanted', 1),
        bmc('baremetal_up', 1),
        bmc('baremetal_health_state', 0),
        # A reading each minute, at second 0 of the test.
        bmc('baremetal_reading_timestamp_seconds', f'0+60x{MINUTES}'),
        series('baremetal_round_seconds', 5),
        series('baremetal_interval_seconds', 60),
        *(sensor(kind, 0) for kind in ('Temperature', 'Fan', 'Power Supply')),
        *(sensor(kind, 0) for kind in ('Memory', 'Drive Bay')),
        system('up', 1),
        *(
            system(f'node_filesystem_{what}_bytes', value, mountpoint='/')
            for what, value in (('avail', 50), ('size', 100))
        ),
        *(
            system(f'node_memory_{what}_bytes', value)
            for what, value in (('MemAvailable', 50), ('MemTotal', 100))
        ),
        system('smartmon_device_smart_healthy', 1, disk='/dev/sda'),
        system('node_edac_uncorrectable_errors_total', 3),
        system('node_network_carrier', 1, device='eth0'),
        # A NIC that was never plugged in.
        system('node_network_carrier', 0, device='eth1'),
        system('node_network_receive_errs_total', 0, device='eth0'),
        system(
            'node_network_receive_packets_total',
            f'0+6000x{MINUTES}',
            device='eth0',
        ),
        system('node_bonding_slaves', 2, master='bond0'),
        system('node_bonding_active', 2, master='bond0'),
        system('node_timex_offset_seconds', 0.001),
        system('node_timex_sync_status', 1),
    ]


def with_other(told: list[Series], *others: Series) -> list[Series]:
    """Return series with some in place of those of the same labels."""
    by_labels = {one['series']: one for one in told}
    by_labels |= {one['series']: one for one in others}
    return list(by_labels.values())


def case(told: list[Series], at: str, firing: list[str]) -> dict[str, Any]:
    """Return one test of `promtool test rules`.

    :param at: when is looked, as `12m`.
    :param firing: labels of each alert that fires then.
    """
    return {
        'interval': '1m',
        'input_series': told,
        'promql_expr_test': [
            {
                'expr': FIRING,
                'eval_time': at,
                'exp_samples': [
                    {'labels': labels, 'value': 1} for labels in firing
                ],
            }
        ],
    }
