# SPDX-License-Identifier: Apache-2.0
"""Which kinds of lab there are, and what is kept of one."""

import contextlib
import dataclasses
import io
import json
import os
import pathlib

import fixtures
import testtools

from zsbm_ironic.common import progress
from zsbm_ironic.lab import cli, layout, lifecycle
from zsbm_ironic.lab import exception as lab_exception


class PlanTest(testtools.TestCase):
    def test_a_group_for_a_second_conductor_that_is_not_there(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            lifecycle.Plan,
            second_group='deploy',
        )
        self.assertIn('--conductors 2', str(error))

    def test_upstream_s_way_has_one_conductor(self):
        error = self.assertRaises(
            lab_exception.LabSettingInvalid,
            lifecycle.Plan,
            stack='stock',
            conductors=2,
        )
        self.assertIn('one conductor', str(error))

    def test_monitoring_needs_our_conductors(self):
        for more in ({'stack': 'stock'}, {'bridge': 'br-rack'}):
            error = self.assertRaises(
                lab_exception.LabSettingInvalid,
                lifecycle.Plan,
                monitoring=True,
                **more,
            )
            self.assertIn('--monitoring', str(error))


class KeptTest(testtools.TestCase):
    def setUp(self):
        super().setUp()
        folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.declared = folder / 'rack.toml'
        self.lab = lifecycle.Lab(
            dataclasses.replace(
                layout.Layout.from_environment(), state=folder / 'lab'
            ),
            progress.Progress(),
        )

    def test_machines_stay_known_without_their_file(self):
        self.declared.write_text('[[machine]]\nname = "rack-1"\n')
        plan = lifecycle.Plan(machines_file=str(self.declared))
        self.lab.keep(plan)
        self.declared.unlink()
        self.assertEqual(['rack-1'], self.lab.machine_names())
        self.assertEqual(plan, self.lab.plan())

    def test_a_file_that_is_none_leaves_no_lab(self):
        self.declared.write_text('no TOML')
        self.assertRaises(
            lab_exception.LabSettingInvalid,
            self.lab.keep,
            lifecycle.Plan(machines_file=str(self.declared)),
        )
        self.assertIsNone(self.lab.plan())

    def status(self, *words):
        """Return what `zsbm-lab status` prints of this lab."""
        self.useFixture(
            fixtures.EnvironmentVariable(
                'ZSBM_LAB_DIR', str(self.lab.folders.state)
            )
        )
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(0, cli.main(['status', *words]))
        return printed.getvalue()

    def test_nodes_of_no_lab(self):
        if os.geteuid() != 0:
            self.skipTest('zsbm-lab is for root')
        self.useFixture(
            fixtures.EnvironmentVariable(
                'ZSBM_LAB_DIR', str(self.lab.folders.state)
            )
        )
        with contextlib.redirect_stderr(io.StringIO()) as printed:
            self.assertEqual(1, cli.main(['nodes']))
        self.assertIn('zsbm-lab up', printed.getvalue())
        # Nor was a password drawn.
        self.assertFalse(self.lab.folders.state.exists())

    def test_status_says_what_a_cloud_has(self):
        if os.geteuid() != 0:
            self.skipTest('zsbm-lab is for root')
        self.lab.keep(lifecycle.Plan(cloud=True))
        self.assertIsNone(json.loads(self.status('-f', 'json'))['cloud'])
        clouds = self.lab.folders.state / 'cloud' / 'clouds.yaml'
        clouds.parent.mkdir()
        clouds.touch()
        told = json.loads(self.status('-f', 'json'))['cloud']
        self.assertIn('vpc-a', told['networks'])
        lines = self.status().splitlines()
        self.assertIn(f'cloud: clouds file     {clouds}', lines)
        self.assertIn('cloud: flavors         metal, small', lines)
        self.assertIn('cloud: vm host         vm', lines)
