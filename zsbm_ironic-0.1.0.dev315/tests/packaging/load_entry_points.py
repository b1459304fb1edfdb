# SPDX-License-Identifier: Apache-2.0
"""Load entry points of the installed package; print those that did.

Run by the Python of an environment that has one extra and no test tools.

    load_entry_points.py MODULE_TO_IMPORT_FIRST|- GROUP|GROUP:NAME...
"""

import importlib
import importlib.metadata
import sys

first, *wanted = sys.argv[1:]
if first != '-':
    importlib.import_module(first)
for point in importlib.metadata.distribution('zsbm-ironic').entry_points:
    name = f'{point.group}:{point.name}'
    if point.group in wanted or name in wanted:
        point.load()
        print(name)
