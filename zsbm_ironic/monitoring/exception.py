# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with watching, on the tree of `common.exception`.

::

    ZsbmError
    |-- Retry
    |   `-- AlertmanagerUnusable
    |-- FixSettings
    |   `-- ContactsUnusable
    `-- GiveUp
        `-- PushRefused
"""

from zsbm_ironic.common import exception


class ContactsUnusable(exception.FixSettings):
    """The file that says whom to call cannot be used as it is."""

    template = 'Nobody can be called by {file}: {problem}'
    EXAMPLE = {
        'file': '/etc/zsbm-ironic/contacts.toml',
        'problem': '[admin] has neither email nor webhook.',
    }


class PushRefused(exception.GiveUp):
    """What a server pushes is not taken; it is told this text."""

    template = (
        'These figures are not taken: {problem}. Send what '
        'prometheus-node-exporter serves.'
    )
    EXAMPLE = {'problem': 'line 7: no sample without time stamp'}


class AlertmanagerUnusable(exception.Retry):
    """Alertmanager does not say which alerts there are."""

    template = (
        'Alertmanager at {url} does not tell its alerts: {problem}. History '
        'of nodes goes on without them; check [zsbm_monitoring]'
        'alertmanager_url.'
    )
    EXAMPLE = {
        'url': 'http://127.0.0.1:9093',
        'problem': 'Connection refused',
    }
