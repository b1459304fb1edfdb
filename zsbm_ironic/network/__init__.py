# SPDX-License-Identifier: Apache-2.0
"""How a server is wired, and whether it is so.

switches
    Asks a switch what it really has: read only, by its own command line.
"""
