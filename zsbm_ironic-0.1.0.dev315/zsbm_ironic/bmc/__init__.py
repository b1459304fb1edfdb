# SPDX-License-Identifier: Apache-2.0
"""One way to talk to any BMC.

::

    driver_info -> credentials (checked, no contact)
                -> detect      (which protocol, no password)
                -> trust       (whose certificate)
                -> pool        (held sessions) -> ipmi, on rmcp, with quirks
                                               -> redfish
    base: what both answer, and the values

Called by `drivers` and `monitoring`; knows no ironic.
"""
