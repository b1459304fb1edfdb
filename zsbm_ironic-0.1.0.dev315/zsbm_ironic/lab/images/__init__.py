# SPDX-License-Identifier: Apache-2.0
"""Builds what a lab boots: deploy ramdisk, test OS image, boot loaders.

    python -m zsbm_ironic.lab.images ramdisk|os|loaders|all [--cache FOLDER]

From Debian packages and PyPI only; cached by the hash of everything that
goes in. `ramdisk.build`, `os_image.build` and `loaders.build` are what the
rest of the lab calls.
"""
