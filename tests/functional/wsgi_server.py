# SPDX-License-Identifier: Apache-2.0
"""Serves an application under cheroot: `python wsgi_server.py ADDRESS ...`.

A program of the environment that the application is in. Its arguments are an
address, a port and the module; the application sees none of them, for some
read their own from the command line.
"""

import importlib
import sys

from cheroot import wsgi

if __name__ == '__main__':
    address, port, module = sys.argv[1:]
    del sys.argv[1:]
    wsgi.Server(
        (address, int(port)), importlib.import_module(module).application
    ).start()
