# SPDX-License-Identifier: Apache-2.0
"""VM images as users have them: specimens for a conversion to bare metal.

Each is a qcow2 that boots as a virtio VM and has typical things that keep it
from booting on a server. The table is in `specimens`; `build` makes one, and
`python -m zsbm_ironic.lab.vm_images` any of them. `proof` starts one as the VM
that it is for, `metal` on a machine that is like a server.
"""
