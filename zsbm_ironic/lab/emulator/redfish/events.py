# SPDX-License-Identifier: Apache-2.0
"""Server-sent events of an emulated BMC (DSP0266, 13.5): changes of power."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import flask

from zsbm_ironic.lab.emulator import chassis as chassis_room
from zsbm_ironic.lab.emulator import faults as faults_room

SERVICE = '/redfish/v1/EventService'
STREAM = f'{SERVICE}/SSE'
BLUEPRINT = 'event_service'

_LOOK_S = 0.1
# A comment so often; also what finds out that the client is gone.
_SIGN_S = 1.0


def routes(
    chassis: chassis_room.Chassis, faults: faults_room.Faults
) -> flask.Blueprint:
    """Return the event service of a BMC."""
    blueprint = flask.Blueprint(BLUEPRINT, __name__)

    @blueprint.get(SERVICE)
    def service() -> Mapping[str, Any]:
        return {
            '@odata.id': SERVICE,
            '@odata.type': '#EventService.v1_5_0.EventService',
            'Id': 'EventService',
            'Name': 'Event Service',
            'ServiceEnabled': True,
            'ServerSentEventUri': STREAM,
        }

    @blueprint.get(STREAM)
    def stream() -> flask.Response:
        return flask.Response(
            _changes(chassis, faults), mimetype='text/event-stream'
        )

    return blueprint


def _changes(
    chassis: chassis_room.Chassis, faults: faults_room.Faults
) -> Iterator[str]:
    """Yield events until the client is gone; a dead BMC says nothing."""
    known, number = chassis.is_on, 0
    signed_at = time.monotonic()
    yield ': events follow\n\n'
    while True:
        time.sleep(_LOOK_S)
        now = time.monotonic()
        if faults.off:
            continue
        if chassis.is_on != known:
            known, number = chassis.is_on, number + 1
            yield f'id: {number}\ndata: {_event(number, known)}\n\n'
        elif now - signed_at > _SIGN_S:
            signed_at = now
            yield ': still here\n\n'


def _event(number: int, is_on: bool) -> str:
    return json.dumps(
        {
            '@odata.type': '#Event.v1_4_0.Event',
            'Id': str(number),
            'Name': 'Event',
            'Events': [
                {
                    'EventId': str(number),
                    'MessageId': 'ResourceEvent.1.0.ResourcePoweredO'
                    + ('n' if is_on else 'ff'),
                }
            ],
        }
    )
