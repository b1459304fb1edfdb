# SPDX-License-Identifier: Apache-2.0
"""VM images as users have them: specimens for a conversion to bare metal.

Each is a qcow2 that boots as a virtio VM and has typical things that keep it
from booting on a server. The table is in `specimens`; `build` makes one, and
`python -m zsbm_ironic.lab.vm_images` any of them.
"""
