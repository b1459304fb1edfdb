# SPDX-License-Identifier: Apache-2.0
"""What `tools/test` runs, how it is counted, and what was seen green.

parts
    The sample that CI runs: parts, each a few checks with a time budget.
checks
    One check: a command that counts as one, or a stestr run that counts as
    many as it has tests.
rows
    The whole matrix: the parts again, every end-to-end test, every benchmark.
lanes
    Rows of the matrix side by side, each in namespaces of its own.
results
    One committed file a row, valid while the hash of the code is the one in
    it; which rows are green, failed, stale, missing.
command
    The command line. Started by tools/test, which readies the machine.
"""
