# SPDX-License-Identifier: Apache-2.0
"""The board of readings as Prometheus metrics.

Called by prometheus_client at each scrape. Names and units follow those of
ipmi_exporter (temperature in Celsius, fan speed in RPM, states 0 nominal,
1 warning, 2 critical) under the prefix `baremetal_`, which the exporter of
the Ironic project uses. METRICS is also the documentation: the page of the
metrics is made from it.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import core, registry

from zsbm_ironic.bmc import base
from zsbm_ironic.monitoring import line, push, readings

Family = core.GaugeMetricFamily | core.CounterMetricFamily

# What a BMC tells becomes so many series at most.
LIMIT_SENSORS = 512
NAME_CHARS = 64

NODE_LABELS = ('node_uuid', 'node_name')
SENSOR_LABELS = (*NODE_LABELS, 'sensor', 'kind')
# Fields of readings.Facts.
INFO_LABELS = (
    'owner',
    'lessee',
    'resource_class',
    'conductor_group',
    'instance_uuid',
    'rack',
)

METRICS = {
    'baremetal_node_info': 'Whose a node is, and what kind; always 1.',
    'baremetal_maintenance': (
        'Whether a person has a node in maintenance (1) or not.'
    ),
    'baremetal_deployed': 'Whether a system of a user runs on it (1) or not.',
    'baremetal_power_wanted': 'What Ironic takes the power for: 1 on, 0 off.',
    'baremetal_up': 'Whether the BMC answered the last reading (1) or not.',
    'baremetal_power_state': 'Chassis power: 1 on, 0 off.',
    'baremetal_health_state': (
        'Worst state among the components: 0 nominal, 1 warning, 2 critical.'
    ),
    'baremetal_reading_timestamp_seconds': 'When the reading was taken.',
    'baremetal_reading_seconds': 'How long the BMC took to answer.',
    'baremetal_temperature_celsius': 'Temperature.',
    'baremetal_fan_speed_rpm': 'Speed of a fan.',
    'baremetal_voltage_volts': 'Voltage.',
    'baremetal_current_amperes': 'Electric current.',
    'baremetal_power_watts': 'Power drawn or delivered.',
    'baremetal_sensor_ratio': 'What a BMC gives in percent, 1 is 100 %.',
    'baremetal_sensor_state': (
        'State of a sensor: 0 nominal, 1 warning, 2 critical.'
    ),
    'baremetal_boot_seconds': (
        'How long the last boot of the deploy ramdisk took.'
    ),
    'baremetal_deploy_seconds': 'How long the last deploy took.',
    'baremetal_event_log_entries': 'Entries of the event log of the BMC.',
    'baremetal_round_seconds': (
        'How long the last round over all nodes of this conductor took.'
    ),
    'baremetal_interval_seconds': 'How often BMCs are read.',
    'baremetal_bmc_sessions': 'BMCs that this conductor is logged in to.',
    'baremetal_pushes_total': 'Pushes of systems, by what became of them.',
}
FIGURES = ('baremetal_interval_seconds', 'baremetal_bmc_sessions')
# Unit of bmc.base.SensorReading -> metric and divisor.
UNITS = {
    'C': ('baremetal_temperature_celsius', 1.0),
    'RPM': ('baremetal_fan_speed_rpm', 1.0),
    'V': ('baremetal_voltage_volts', 1.0),
    'A': ('baremetal_current_amperes', 1.0),
    'W': ('baremetal_power_watts', 1.0),
    '%': ('baremetal_sensor_ratio', 100.0),
}
STATES = {
    base.Health.OK: 0.0,
    base.Health.WARNING: 1.0,
    base.Health.CRITICAL: 2.0,
}


class ReadingsCollector(registry.Collector):
    """Turns the board into metric families.

    :param board: read at each scrape.
    :param receiver: its counts as well.
    :param figures: tells those of FIGURES, of the conductor itself.
    """

    def __init__(
        self,
        board: readings.Board,
        receiver: push.Receiver,
        figures: Callable[[], Mapping[str, float]],
    ) -> None:
        self._board, self._receiver = board, receiver
        self._figures = figures

    def collect(self) -> Iterator[Family]:
        """Return the families of one scrape; never waits for a BMC."""
        families = {
            name: _family(name)(name, text, labels=_labels_of(name))
            for name, text in METRICS.items()
        }
        current, round_s = self._board.look()
        for reading in current:
            _add_node(families, reading)
        if round_s is not None:
            families['baremetal_round_seconds'].add_metric([], round_s)
        for name, value in self._figures().items():
            families[name].add_metric([], value)
        for result, count in self._receiver.counts().items():
            families['baremetal_pushes_total'].add_metric([result], count)
        yield from families.values()


def _family(name: str) -> type[Family]:
    if name.endswith('_total'):
        return core.CounterMetricFamily
    return core.GaugeMetricFamily


def _labels_of(name: str) -> tuple[str, ...]:
    if name == 'baremetal_pushes_total':
        return ('result',)
    if name == 'baremetal_round_seconds' or name in FIGURES:
        return ()
    if name == 'baremetal_node_info':
        return (*NODE_LABELS, *INFO_LABELS)
    measured = {metric for metric, _ in UNITS.values()}
    if name in measured or name == 'baremetal_sensor_state':
        return SENSOR_LABELS
    return NODE_LABELS


def _add_node(families: dict[str, Family], reading: readings.Reading) -> None:
    node = [reading.node_uuid, reading.node_name]

    def add(name: str, value: float, *labels: str) -> None:
        families[name].add_metric([*node, *labels], value)

    facts = reading.facts
    add('baremetal_node_info', 1.0, *(getattr(facts, n) for n in INFO_LABELS))
    add('baremetal_maintenance', float(facts.maintenance))
    add('baremetal_deployed', float(facts.deployed))
    if facts.power is not None:
        add('baremetal_power_wanted', float(facts.power is base.PowerState.ON))
    if facts.lasted.boot_s is not None:
        add('baremetal_boot_seconds', facts.lasted.boot_s)
    if facts.lasted.deploy_s is not None:
        add('baremetal_deploy_seconds', facts.lasted.deploy_s)
    add('baremetal_up', 0.0 if reading.error else 1.0)
    add('baremetal_reading_timestamp_seconds', reading.taken_at)
    add('baremetal_reading_seconds', reading.duration_s)
    if reading.power is not None:
        on = reading.power is base.PowerState.ON
        add('baremetal_power_state', 1.0 if on else 0.0)
    if reading.health in STATES:
        add('baremetal_health_state', STATES[reading.health])
    if reading.logged_events is not None:
        add('baremetal_event_log_entries', float(reading.logged_events))
    for name, kind, sensor in _uniquely_named(reading.sensors):
        if sensor.value is not None and sensor.unit in UNITS:
            metric, divisor = UNITS[sensor.unit]
            add(metric, sensor.value / divisor, name, kind)
        if sensor.health in STATES:
            state = STATES[sensor.health]
            add('baremetal_sensor_state', state, name, kind)


def _uniquely_named(
    sensors: tuple[base.SensorReading, ...],
) -> Iterator[tuple[str, str, base.SensorReading]]:
    """Return name, kind and reading: `Fan`, `Fan #2` where a BMC has two.

    Names are those of a BMC, which may be any: none is longer than
    NAME_CHARS, and no more than LIMIT_SENSORS become series.
    """
    seen: set[tuple[str, str]] = set()
    for sensor in sensors[:LIMIT_SENSORS]:
        kind = line.line(sensor.kind, NAME_CHARS)
        plain = line.line(sensor.name, NAME_CHARS) or 'unnamed'
        name, number = plain, 1
        while (name, kind) in seen:
            number += 1
            name = f'{plain} #{number}'
        seen.add((name, kind))
        yield name, kind, sensor
