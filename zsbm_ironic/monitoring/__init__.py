# SPDX-License-Identifier: Apache-2.0
"""What machines and their systems do, as Prometheus metrics.

::

    BMC -> readings.take (a periodic task of the conductor, many at once)
        -> readings.Board (the last reading of each node)
        -> collector -> exporter (/metrics) -> Prometheus
        -> rules of etc/prometheus -> Alertmanager, told by `routing`
        -> alertmanager (what it says of each node) -> node history

    system -> install (by cloud-init: an exporter, or one that pushes)
        -> scraped, where `discovery` says (/sd)
        -> or push -> exposition (what is taken of it) -> exporter (/pushed)

A scrape reads what is there and never waits for a BMC. Knows no ironic;
`serving` is the HTTP server of both, and of no other room.
"""
