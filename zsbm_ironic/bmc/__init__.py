# SPDX-License-Identifier: Apache-2.0
"""One way to talk to any BMC.

::

    driver_info -> base.Credentials -> detect (which protocol, no password)
                                    -> trust  (whose certificate)
                                    -> pool   -> ipmi.IpmiBmc   over rmcp
                                              -> redfish.RedfishBmc

Called by `drivers` and `monitoring`; knows no ironic.
"""
