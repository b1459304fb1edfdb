# SPDX-License-Identifier: Apache-2.0
"""Many emulated BMCs, and the pool and watch of a conductor asking them.

Fifty BMCs in the sample, a thousand in rows ``fleet/NAME`` of the matrix.
"""
