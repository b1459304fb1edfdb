# SPDX-License-Identifier: Apache-2.0
"""devstack's own functions and phases, run against devstack/."""
