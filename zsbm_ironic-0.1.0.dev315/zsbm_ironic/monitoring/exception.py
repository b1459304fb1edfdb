# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with who is called, on the tree of `common.exception`.

::

    ZsbmError
    `-- FixSettings
        `-- ContactsUnusable
"""

from zsbm_ironic.common import exception


class ContactsUnusable(exception.FixSettings):
    """The file that says whom to call cannot be used as it is."""

    template = 'Nobody can be called by {file}: {problem}'
    EXAMPLE = {
        'file': '/etc/zsbm-ironic/contacts.toml',
        'problem': '[admin] has neither email nor webhook.',
    }
