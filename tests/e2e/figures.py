# SPDX-License-Identifier: Apache-2.0
"""What a test measured, left to the matrix."""

import json
import os
import pathlib

import fixtures


class Figures(fixtures.Fixture):
    """Figures by name; written when the test ends, however it does."""

    def _setUp(self):
        self.found = {}
        self.addCleanup(self._write)

    def __setitem__(self, name, value):
        self.found[name] = value

    def _write(self):
        if path := os.environ.get('ZSBM_FIGURES'):
            pathlib.Path(path).write_text(json.dumps(self.found))
