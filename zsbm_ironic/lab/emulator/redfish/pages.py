# SPDX-License-Identifier: Apache-2.0
"""What sushy-tools does not say, or says the same for every machine.

Added to its Flask application by hooks, without a change to it: the one-time
boot override, sensors, power consumption, maker and serial number.
"""

import json
from collections.abc import Mapping
from typing import Any

import flask

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import event_log, sensors
from zsbm_ironic.lab.emulator.redfish import auth, driver, events

Target = chassis_room.Target
Kind = sensors.Kind

#: PhysicalContext (DSP8010) by the IPMI entity of a sensor.
_CONTEXT = {3: 'CPU', 7: 'SystemBoard', 29: 'Fan', 55: 'Intake'}


class Pages:
    """Hooks and pages for one chassis."""

    def __init__(self, chassis: chassis_room.Chassis) -> None:
        self._chassis = chassis

    def install(self, application: Any) -> None:
        """Hook into sushy-tools' application."""
        application.before_request(self._before)
        application.after_request(self._after)
        application.add_url_rule(
            '/redfish/v1/Chassis/<identity>/Power', 'zsbm_power', self._power
        )
        services = '/redfish/v1/Systems/<identity>/LogServices'
        for path, name, page in (
            (services, 'zsbm_logs', self._logs),
            (f'{services}/SEL', 'zsbm_log', self._log),
            (f'{services}/SEL/Entries', 'zsbm_entries', self._entries),
        ):
            application.add_url_rule(path, name, page)

    def _before(self) -> Any:
        """Take over the requests that sushy-tools would misread."""
        request = flask.request
        if request.endpoint == 'thermal_resource':
            return self._thermal(request.path)
        if request.endpoint == 'system_resource' and request.method == 'PATCH':
            body = request.get_json(silent=True) or {}
            boot = body.get('Boot')
            if isinstance(boot, dict) and not boot.get('HttpBootUri'):
                return self._patch_boot(boot, body)
        return None

    def _patch_boot(
        self, boot: dict[str, Any], body: dict[str, Any]
    ) -> tuple[Any, int]:
        """Set target, mode and duration at once, as DSP0266 has a PATCH."""
        chassis = self._chassis
        now = chassis.boot
        mode = boot.get('BootSourceOverrideMode')
        mine = 'UEFI' if chassis.asset.uefi else 'Legacy'
        if mode not in (None, mine):
            return _refused(f'This system boots in mode {mine} only')
        source = boot.get(
            'BootSourceOverrideTarget', driver.BOOT_SOURCES[now.target]
        )
        target = driver.TARGETS.get(source)
        if target is None or (
            target is Target.HTTP and not chassis.asset.uefi
        ):
            return _refused(f'Boot source {source} is not supported')
        enabled = boot.get(
            'BootSourceOverrideEnabled',
            'Continuous' if now.persistent else 'Once',
        )
        if enabled not in ('Disabled', 'Once', 'Continuous'):
            return _refused(f'BootSourceOverrideEnabled {enabled} is unknown')
        if enabled == 'Disabled':
            target = Target.NONE
        chassis.set_boot(
            chassis_room.BootOverride(
                target, enabled == 'Continuous', chassis.asset.uefi
            )
        )
        light = body.get('IndicatorLED')
        if light is not None:
            driver.Indicators(chassis).set_indicator_state('', light)
        return '', 204

    def _after(self, response: flask.Response) -> flask.Response:
        """Correct what the templates have fixed."""
        request = flask.request
        if request.method != 'GET' or response.status_code != 200:
            return response
        change = {
            'root_resource': self._root,
            'system_resource': self._system,
            'chassis_resource': self._box,
            'drive_resource': self._drive,
        }.get(request.endpoint or '')
        if change is not None:
            page = json.loads(response.get_data())
            change(page)
            response.set_data(json.dumps(page))
        return response

    def _root(self, page: dict[str, Any]) -> None:
        page['Vendor'] = self._chassis.asset.manufacturer
        page['Product'] = 'Emulated BMC'
        page['ProtocolFeaturesSupported'] = {'TopSkipQuery': True}
        page['SessionService'] = {
            '@odata.id': auth.SESSIONS.rpartition('/')[0]
        }
        page.pop('EventService', None)
        if events.BLUEPRINT in flask.current_app.blueprints:
            page['EventService'] = {'@odata.id': events.SERVICE}
        page['Links'] = {'Sessions': {'@odata.id': auth.SESSIONS}}

    def _system(self, page: dict[str, Any]) -> None:
        asset, boot = self._chassis.asset, self._chassis.boot
        page['Manufacturer'] = asset.manufacturer
        page['Model'] = asset.product
        page['SerialNumber'] = asset.serial_number
        page['SKU'] = asset.name
        page['LogServices'] = {'@odata.id': f'{page["@odata.id"]}/LogServices'}
        page['Status'] = {
            'State': 'Enabled' if self._chassis.is_on else 'Disabled',
            'Health': self._health(),
            'HealthRollup': self._health(),
        }
        shown = page['Boot']
        enabled = 'Disabled'
        if boot.target is not Target.NONE:
            enabled = 'Continuous' if boot.persistent else 'Once'
        shown['BootSourceOverrideEnabled'] = enabled
        sources = [
            source
            for source, target in driver.TARGETS.items()
            if asset.uefi or target is not Target.HTTP
        ]
        shown['BootSourceOverrideTarget@Redfish.AllowableValues'] = sources
        shown['BootSourceOverrideMode@Redfish.AllowableValues'] = [
            'UEFI' if asset.uefi else 'Legacy'
        ]
        if not asset.uefi:
            page.pop('SecureBoot', None)

    def _box(self, page: dict[str, Any]) -> None:
        asset = self._chassis.asset
        page['Manufacturer'] = asset.manufacturer
        page['Model'] = asset.product
        page['SerialNumber'] = asset.serial_number
        page['PowerState'] = 'On' if self._chassis.is_on else 'Off'
        page['Status']['Health'] = self._health()
        page['Power'] = {'@odata.id': f'{page["@odata.id"]}/Power'}

    def _drive(self, page: dict[str, Any]) -> None:
        for disk in self._chassis.asset.disks:
            if disk.name == page['Id']:
                page['SerialNumber'] = disk.serial
                page['MediaType'] = 'SSD'

    def _readings(
        self, kind: Kind
    ) -> list[tuple[sensors.Sensor, float | None]]:
        is_on = self._chassis.is_on
        return [
            (sensor, self._chassis.readings.value(sensor, is_on))
            for sensor in sensors.SENSORS
            if sensor.kind is kind
        ]

    def _health(self) -> str:
        seen = {
            sensors.health(sensor, value)
            for kind in Kind
            for sensor, value in self._readings(kind)
        }
        for state in ('Critical', 'Warning'):
            if state in seen:
                return state
        return 'OK'

    def _thermal(self, path: str) -> Mapping[str, Any]:
        """Return a Thermal resource (Thermal.v1_3_0)."""
        temperatures = [
            {
                **_member(path, 'Temperatures', number, sensor, value),
                'ReadingCelsius': value,
                'LowerThresholdCritical': sensor.lower_critical,
            }
            for number, (sensor, value) in enumerate(
                self._readings(Kind.TEMPERATURE)
            )
        ]
        fans = [
            {
                **_member(path, 'Fans', number, sensor, value),
                'Reading': value,
                'ReadingUnits': 'RPM',
                'LowerThresholdCritical': sensor.lower_critical,
            }
            for number, (sensor, value) in enumerate(self._readings(Kind.FAN))
        ]
        return {
            '@odata.id': path,
            '@odata.type': '#Thermal.v1_3_0.Thermal',
            'Id': 'Thermal',
            'Name': 'Thermal',
            'Temperatures': temperatures,
            'Fans': fans,
        }

    def _logs(self, identity: str) -> Mapping[str, Any]:
        """Return the collection of logs: one."""
        path = flask.request.path
        return {
            '@odata.id': path,
            '@odata.type': '#LogServiceCollection.LogServiceCollection',
            'Name': 'Logs',
            'Members': [{'@odata.id': f'{path}/SEL'}],
            'Members@odata.count': 1,
        }

    def _log(self, identity: str) -> Mapping[str, Any]:
        """Return a LogService resource (LogService.v1_1_0)."""
        path = flask.request.path
        return {
            '@odata.id': path,
            '@odata.type': '#LogService.v1_1_0.LogService',
            'Id': 'SEL',
            'Name': 'System event log',
            'LogEntryType': 'SEL',
            'MaxNumberOfRecords': event_log.ROOM,
            'Entries': {'@odata.id': f'{path}/Entries'},
        }

    def _entries(self, identity: str) -> Mapping[str, Any]:
        """Return the records, as many as $top says."""
        path = flask.request.path
        records = self._chassis.log.records
        top = flask.request.args.get('$top', len(records), int)
        return {
            '@odata.id': path,
            '@odata.type': '#LogEntryCollection.LogEntryCollection',
            'Name': 'Entries',
            'Members': [
                {
                    '@odata.id': f'{path}/{number}',
                    '@odata.type': '#LogEntry.v1_4_0.LogEntry',
                    'Id': str(number),
                    'Name': f'Entry {number}',
                    'EntryType': 'SEL',
                    'Message': record.hex(),
                }
                for number, record in enumerate(records[:top], start=1)
            ],
            'Members@odata.count': len(records),
        }

    def _power(self, identity: str) -> Mapping[str, Any]:
        """Return a Power resource (Power.v1_3_0)."""
        path = flask.request.path
        voltages = [
            {
                **_member(path, 'Voltages', number, sensor, value),
                'ReadingVolts': value,
                'LowerThresholdCritical': sensor.lower_critical,
            }
            for number, (sensor, value) in enumerate(
                self._readings(Kind.VOLTAGE)
            )
        ]
        [(meter, watts)] = self._readings(Kind.POWER)
        return {
            '@odata.id': path,
            '@odata.type': '#Power.v1_3_0.Power',
            'Id': 'Power',
            'Name': 'Power',
            'Voltages': voltages,
            'PowerControl': [
                {
                    **_member(path, 'PowerControl', 0, meter, watts),
                    'PowerConsumedWatts': watts,
                    'PowerCapacityWatts': meter.upper_critical,
                }
            ],
            'PowerSupplies': [
                {
                    '@odata.id': f'{path}#/PowerSupplies/0',
                    'MemberId': '0',
                    'Name': 'PSU1',
                    'PowerSupplyType': 'AC',
                    'LineInputVoltage': 230,
                    'PowerCapacityWatts': meter.upper_critical,
                    'LastPowerOutputWatts': watts,
                    'SerialNumber': f'{self._chassis.asset.serial_number}P1',
                    'Status': {'State': 'Enabled', 'Health': 'OK'},
                }
            ],
        }


def _member(
    path: str,
    group: str,
    number: int,
    sensor: sensors.Sensor,
    value: float | None,
) -> dict[str, Any]:
    return {
        '@odata.id': f'{path}#/{group}/{number}',
        'MemberId': str(number),
        'Name': sensor.name,
        'SensorNumber': number,
        'PhysicalContext': _CONTEXT.get(sensor.entity, 'SystemBoard'),
        'UpperThresholdNonCritical': sensor.upper_warning,
        'UpperThresholdCritical': sensor.upper_critical,
        'Status': {
            'State': 'Enabled' if value is not None else 'UnavailableOffline',
            'Health': sensors.health(sensor, value),
        },
    }


def _refused(message: str) -> tuple[dict[str, Any], int]:
    return (
        {'error': {'code': 'Base.1.0.GeneralError', 'message': message}},
        400,
    )
