# SPDX-License-Identifier: Apache-2.0
"""Runs tests of ironic-tempest-plugin; a program of Tempest's environment.

The outcomes go to standard output as a subunit stream, all tests that are run
as `exists` before; with --list no more than these. TEMPEST_CONFIG_DIR names
the folder of tempest.conf.

The plugin's tests of the API refuse any hardware type but `fake-hardware`:
they have no place for what a BMC asks for. With --nodes, the one that
tempest.conf names is not refused, and each node that a test makes has fields
from that file in addition: which BMC it has. Interfaces called `fake`, which
no other type has, stay what the type has by default.

Its scenarios name types and interfaces of upstream themselves. With --ours,
they name those of this package instead. Nothing else is changed.
"""

import argparse
import itertools
import json
import pathlib
import sys
import unittest

import subunit
import tempest
import testtools
from tempest import config, test_discover
from testtools import testsuite

FAKE = 'fake'
# What scenarios say, and what they say with --ours.
OURS = {
    'driver': {'ipmi': 'zsbm', 'redfish': 'zsbm'},
    # Upstream's `iscsi` is no more; its tests are those of a whole disk.
    'deploy_interface': {'direct': 'zsbm', 'iscsi': 'zsbm'},
    'boot_interface': {'ipxe': 'zsbm-pxe', 'http-ipxe': 'zsbm-http'},
}


def found(prefixes):
    """Return a suite of the tests whose ids begin so."""
    plain = pathlib.Path(tempest.__file__).parent
    suite = unittest.TestLoader().discover(
        str(pathlib.Path(test_discover.__file__).parent),
        top_level_dir=str(plain.parent),
    )
    ids = {
        one.id()
        for one in testtools.iterate_tests(suite)
        if one.id().startswith(prefixes)
    }
    return testsuite.filter_by_ids(suite, ids), sorted(ids)


def give_nodes(fields):
    """Let tests of the API make nodes of the type of tempest.conf.

    :param fields: of nodes, used in turn.
    """
    # With the tests, whose options are registered by then.
    from ironic_tempest_plugin.services.baremetal.v1.json import (
        baremetal_client,
    )
    from ironic_tempest_plugin.tests.api import base

    base.SUPPORTED_DRIVERS.append(config.CONF.baremetal.driver)
    client = baremetal_client.BaremetalClient
    create, turn = client._create_request, itertools.cycle(fields)
    change = client._patch_request

    def create_with_fields(self, resource, body):
        if resource == 'nodes':
            said = {key: value for key, value in body.items() if value != FAKE}
            body = {**next(turn), **said}
        return create(self, resource, body)

    def change_without_fake(self, resource, uuid, patch, **more):
        if isinstance(patch, list):
            patch = [one for one in patch if one.get('value') != FAKE]
        return change(self, resource, uuid, patch, **more)

    client._create_request = create_with_fields
    client._patch_request = change_without_fake


def name_ours(suite):
    """Let scenarios name the type and the interfaces of this package."""
    for scenario in {type(one) for one in testtools.iterate_tests(suite)}:
        for attribute, names in OURS.items():
            said = getattr(scenario, attribute, None)
            if said in names:
                setattr(scenario, attribute, names[said])
        if getattr(scenario, 'valid_driver_list', None):
            scenario.valid_driver_list = ['zsbm']


def main():
    """Run them; what came of each is for the reader of the stream."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--nodes', type=pathlib.Path)
    parser.add_argument('--ours', action='store_true')
    parser.add_argument('--list', action='store_true')
    parser.add_argument('prefixes', nargs='+')
    arguments = parser.parse_args()
    stream = subunit.StreamResultToBytes(sys.stdout.buffer)
    # What tests print is not part of the stream.
    sys.stdout = sys.stderr
    suite, ids = found(tuple(arguments.prefixes))
    if arguments.nodes:
        give_nodes(json.loads(arguments.nodes.read_text()))
    if arguments.ours:
        name_ours(suite)
    for one in ids:
        stream.status(test_id=one, test_status='exists')
    if arguments.list:
        return
    result = testtools.ExtendedToStreamDecorator(stream)
    result.startTestRun()
    suite.run(result)
    result.stopTestRun()


if __name__ == '__main__':
    main()
