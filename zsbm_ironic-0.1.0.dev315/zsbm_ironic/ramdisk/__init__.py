# SPDX-License-Identifier: Apache-2.0
"""What runs inside the deploy ramdisk, as part of ironic-python-agent.

Imports the agent and never ironic: the ramdisk does not have it. Only
`version` is also read by the conductor, and imports nothing.
"""
