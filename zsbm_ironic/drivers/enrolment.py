# SPDX-License-Identifier: Apache-2.0
"""What `manage` does to a node: find its protocol, fill upstream's keys.

Runs under the node's exclusive lock, in state verifying. Called twice in one
`manage`: by the power interface, which ironic asks first, and by the verify
step of the management interface; the second call uses what the first found.
"""

from typing import Any

from oslo_log import log

from zsbm_ironic.bmc import base, detect
from zsbm_ironic.drivers import access

LOG = log.getLogger(__name__)


def ensure_detected(task: Any) -> None:
    """Detect the protocol of a node that has none yet, and remember it.

    :raises BmcProtocolUnclear: and all else that `detect.detect` raises.
    """
    node = task.node
    found = access.credentials(node)
    if found.protocol is not base.BmcProtocol.AUTO:
        return
    with access.failing_once(task):
        speaks = detect.detect(found)
    task.zsbm_speaks = speaks
    # Too long for IPMI is better said before than after.
    found.chosen(speaks.protocol)
    access.remember(node, protocol=speaks.protocol.value, console=speaks.ipmi)
    LOG.info('Node %s: its BMC speaks %s.', node.uuid, speaks.protocol.value)


def enrol(task: Any) -> None:
    """Detect, log in, learn what upstream's keys need, fill and save them.

    :raises ZsbmError: the BMC cannot be used as it is configured.
    """
    node = task.node
    ensure_detected(task)
    found = access.decided(node)
    facts: dict[str, Any] = {'protocol': found.protocol.value}
    if found.protocol is base.BmcProtocol.REDFISH:
        facts |= access.ask(task, _redfish_facts)
        speaks = getattr(task, 'zsbm_speaks', None) or detect.detect(found)
        facts['console'] = speaks.ipmi
    else:
        facts |= access.ask(task, _ipmi_facts)
    pinned = found.trust.fingerprint
    facts['fingerprint'] = pinned
    if not pinned:
        facts['certificate'] = None
    access.remember(node, **facts)
    if pinned and facts.get('certificate'):
        access.keep_pin(node, pinned, contact=False)
    if not found.trust.verify and found.redfish.scheme == 'https':
        LOG.warning(
            'Node %s: the certificate of its BMC is not verified at all. '
            'Set bmc_cert_fingerprint instead of bmc_verify_ca=false.',
            node.uuid,
        )
    access.fill(node, adopt=True)
    node.save()
    task.zsbm_enrolled = True


def is_enrolled(task: Any) -> bool:
    """Return whether `enrol` went well in this task.

    Ironic runs every verify step, and the last error is the one that people
    see: a later step that asked a BMC in vain would hide why `enrol` failed,
    and many BMCs lock an account after the third wrong password.
    """
    return getattr(task, 'zsbm_enrolled', False)


def _redfish_facts(bmc: Any) -> dict[str, Any]:
    certificate = bmc.certificate
    return {
        'system_id': bmc.system_id,
        'certificate': certificate.pem if certificate else None,
    }


def _ipmi_facts(bmc: Any) -> dict[str, Any]:
    bmc.get_power()
    return {'cipher_suite': bmc.cipher_suite, 'console': True}
