# SPDX-License-Identifier: Apache-2.0
"""Upstream's own tests of Ironic, run against what this package makes of it.

requirements.in, requirements.txt
    Tempest, its plugin for Ironic and Keystone, in an environment of their
    own.
run
    What runs in that environment: tests of the plugin, as they are.
suite
    What starts it, and holds each outcome against a list.
api.toml, api_zsbm.toml
    The tests of the API that do not pass: why, and whose reason it is.
scenarios.toml
    The scenarios that are run on machines of the lab, and the others.
"""
