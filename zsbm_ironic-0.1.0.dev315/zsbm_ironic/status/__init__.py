# SPDX-License-Identifier: Apache-2.0
"""`zsbm-status`: get a host ready for us, look whether it is, leave again.

::

    config         host, wanted -> fragment      an ironic.conf fragment
    check          checks_*     -> findings      a line a check, a remedy
    upgrade check  upgrade                       before the services start
    leave          leave                         what is still ours, in order

Reads ironic's options through common/ironic_compat; changes nothing, ever.
"""
