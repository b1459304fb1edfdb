# SPDX-License-Identifier: Apache-2.0
"""Sensor readings and health in the shapes that ironic sends on.

Consumers of ironic's sensor notifications know what ipmitool prints; an IPMI
node of ours gives them the same words. Called by the management interface.
"""

from collections.abc import Iterable
from typing import Any

from ironic.common.health_states import HealthState

from zsbm_ironic.bmc import base

_UNITS = {
    'C': 'degrees C',
    'RPM': 'RPM',
    'V': 'Volts',
    'W': 'Watts',
    'A': 'Amps',
    '%': 'percent',
}
_STATUS = {
    base.Health.OK: 'ok',
    base.Health.WARNING: 'non-critical',
    base.Health.CRITICAL: 'critical',
    base.Health.UNKNOWN: 'unknown',
}
_HEALTH = {
    base.Health.OK: HealthState.OK,
    base.Health.WARNING: HealthState.WARNING,
    base.Health.CRITICAL: HealthState.CRITICAL,
}


def as_ipmi(readings: Iterable[base.SensorReading]) -> dict[str, Any]:
    """Return readings by kind and name, as upstream's ipmi type gives them."""
    grouped: dict[str, Any] = {}
    for reading in readings:
        if reading.value is None and not reading.states:
            continue
        shown = ', '.join(reading.states)
        if reading.value is not None:
            unit = reading.unit or 'unspecified'
            shown = f'{reading.value:g} {_UNITS.get(unit, unit)}'
        grouped.setdefault(reading.kind, {})[reading.name] = {
            'Sensor ID': reading.name,
            'Entity ID': '',
            'Sensor Type': reading.kind,
            'Sensor Reading': shown,
            'Status': _STATUS[reading.health],
        }
    return grouped


def health_word(health: base.Health) -> HealthState | None:
    """Return ironic's value for a health; None for unknown."""
    return _HEALTH.get(health)
