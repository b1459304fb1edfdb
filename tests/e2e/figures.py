# SPDX-License-Identifier: Apache-2.0
"""What a test measured, left to the matrix."""

import itertools
import json
import os
import pathlib

import fixtures

STEPS = ('write_image', 'adapt_image', 'prepare_instance_boot')


class Figures(fixtures.Fixture):
    """Figures by name; written when the test ends, however it does.

    Those of an earlier test of the same row stay.
    """

    def _setUp(self):
        self.found = {}
        self.addCleanup(self._write)

    def __setitem__(self, name, value):
        self.found[name] = value

    def steps(self, name, timeline):
        """Keep how long the steps of a deploy took, in seconds of the host.

        :param name: of the server.
        :param timeline: of its boot, as the command prints it.
        """
        began = {
            event['Detail']: float(event['Elapsed (s)'])
            for event in timeline
            if event['Event'] == 'deploy-step'
        }
        for step, following in itertools.pairwise(STEPS):
            self[f'{name} {step}'] = round(began[following] - began[step], 1)

    def _write(self):
        if name := os.environ.get('ZSBM_FIGURES'):
            path = pathlib.Path(name)
            before = json.loads(path.read_text()) if path.exists() else {}
            path.write_text(json.dumps({**before, **self.found}))
