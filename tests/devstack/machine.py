# SPDX-License-Identifier: Apache-2.0
"""A machine with devstack, ironic's plugin and ours, ready for stack.sh."""

import re
import shutil
import sys

from tests.devstack import overlay_root, sources

HOME = overlay_root.HOME
DEVSTACK = f'{HOME}/devstack'
REPOSITORIES = f'{HOME}/repositories'
VENV = f'{HOME}/data/venv'
REQUIREMENTS = f'{HOME}/requirements'
KERNEL = f'{HOME}/agent/kernel'
RAMDISK = f'{HOME}/agent/initramfs'
# Over our sample: what this machine is, and a ramdisk that is there.
LOCALRC = f"""
HOST_IP=127.0.0.1
IRONIC_VM_COUNT=0
IRONIC_BUILD_DEPLOY_RAMDISK=False
IRONIC_DEPLOY_KERNEL={KERNEL}
IRONIC_DEPLOY_RAMDISK={RAMDISK}
# Of a package that is not installed.
IRONIC_PXE_BOOT_IMAGE={KERNEL}

[[post-config|$IRONIC_CONF_FILE]]
[conductor]
permitted_image_formats = raw,qcow2
"""
# As stack.sh has pip and bindep, but that nothing is installed.
PREPARE = f"""
mkdir -p {VENV}/bin {REQUIREMENTS}/.venv/bin
ln -s /usr/local/bin/edit-constraints {REQUIREMENTS}/.venv/bin/
ln -s {sys.prefix}/bin/* {VENV}/bin/
ln -sf /usr/local/bin/pip {VENV}/bin/
"""


class Machine(overlay_root.OverlayRoot):
    """Before its first stack.sh.

    :param devstack: a checkout of devstack.
    :param more: further lines of local.conf.
    """

    def __init__(self, devstack, more='', network='host'):
        super().__init__(network)
        self._devstack = devstack
        self._more = more

    def _setUp(self):
        super()._setUp()
        shutil.copytree(
            self._devstack,
            self.path(DEVSTACK),
            ignore=shutil.ignore_patterns('.git', 'local.conf', 'localrc'),
        )
        # Of each repository what phases read; nothing is installed of it.
        for name, source in (
            ('ironic', sources.ironic()),
            ('zsbm-ironic', sources.TOP),
        ):
            folder = self.path(f'{REPOSITORIES}/{name}')
            shutil.copytree(source / 'devstack', folder / 'devstack')
            shutil.copy(source / 'setup.cfg', folder)
            sources.make_repository(folder)
        sample = (sources.TOP / 'devstack/local.conf.sample').read_text()
        self.put(
            f'{DEVSTACK}/local.conf',
            re.sub(r'https://\S+/', f'{REPOSITORIES}/', sample)
            + LOCALRC
            + self._more,
        )
        script = sources.TOP / 'tests/devstack/phases.sh'
        self.put(f'{HOME}/phases.sh', script.read_text())
        for name in (KERNEL, RAMDISK):
            self.put(name, 'of no use')
        self.put(
            f'{REQUIREMENTS}/global-requirements.txt',
            'python-ironicclient\nsushy\n',
        )
        # lib/ironic builds a dnsmasq unless it did.
        self.put(f'{HOME}/.patched-dnsmasq', '')
        self.give(HOME)
        self.as_user('sh', '-ec', PREPARE)

    def phases(self, script, *words):
        """Go through the phases of a script of devstack, or try commands.

        :returns: what was printed.
        """
        return self.as_user(
            *('bash', f'{HOME}/phases.sh', DEVSTACK, script, *words),
            BINDEP_CMD=f'{sys.prefix}/bin/bindep',
        )
