# SPDX-License-Identifier: Apache-2.0
"""Commands that `openstack baremetal` and `baremetal` gain by this package.

One noun a module, found by the entry points of `openstack.baremetal.v1`. They
talk to Ironic's API alone and import nothing of the rooms.
"""
