# SPDX-License-Identifier: Apache-2.0
"""What machines do, as Prometheus metrics.

::

    BMC -> readings.take (a periodic task of the conductor, many at once)
        -> readings.Board (the last reading of each node)
        -> collector -> exporter (/metrics) -> Prometheus
        -> rules of etc/prometheus -> Alertmanager, told by `routing`

A scrape reads the board alone and never waits for a BMC. Knows no ironic.
"""
