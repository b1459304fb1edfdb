# SPDX-License-Identifier: Apache-2.0
"""From a node to its BMC: which protocol, whose keys, which session.

What is known about a node's BMC is in `driver_internal_info['zsbm_bmc']`:
the protocol that was detected, which keys of upstream's we filled in and with
what, the pinned certificate. Called by our power and management interface and
by monitoring, in any conductor thread; sessions belong to `bmc.pool`.
"""

import base64
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ironic.common import states

from zsbm_ironic import conf
from zsbm_ironic.bmc import base, pool, trust
from zsbm_ironic.bmc import credentials as bmc_credentials
from zsbm_ironic.common import exception

T = TypeVar('T')
KEY = 'zsbm_bmc'
SECRETS = frozenset({'redfish_password', 'ipmi_password'})
# Interactive cost (RFC 7914): the digest is in driver_internal_info, which
# readers may see.
_SCRYPT = {'n': 2**14, 'r': 8, 'p': 1}


def pins() -> trust.PinStore:
    """Return where this conductor keeps pinned certificates."""
    return trust.PinStore(conf.CONF.zsbm_bmc.certificate_dir)


def known(node: Any) -> dict[str, Any]:
    """Return what is known about the node's BMC; {} before `manage`."""
    return dict(node.driver_internal_info.get(KEY) or {})


def remember(node: Any, **facts: Any) -> None:
    """Add to what is known; the caller saves the node."""
    node.set_driver_internal_info(KEY, {**known(node), **facts})


def operator_info(node: Any) -> dict[str, Any]:
    """Return driver_info without the keys that we filled in ourselves.

    Where a node has no bmc_address any more, upstream's keys are all there
    is: then they count.
    """
    info = dict(node.driver_info or {})
    if not info.get('bmc_address'):
        return info
    for key, value in (known(node).get('filled') or {}).items():
        if key not in SECRETS and info.get(key) == value:
            del info[key]
    return info


def credentials(node: Any) -> bmc_credentials.Credentials:
    """Return the node's credentials; the protocol may still be AUTO.

    :raises BmcSettingMissing: a needed key is not there.
    :raises BmcSettingInvalid: a value cannot be used.
    """
    info = operator_info(node)
    found = bmc_credentials.Credentials.from_driver_info(
        info, default_verify_ca=conf.CONF.zsbm.verify_ca
    )
    # A pinned node that came back from type redfish has only our file.
    pinned = pins().fingerprint(found.trust.ca_path)
    if pinned:
        found = dataclasses.replace(
            found, trust=bmc_credentials.Trust(fingerprint=pinned)
        )
    if found.protocol is not base.BmcProtocol.AUTO:
        return found
    stored = known(node).get('protocol')
    if stored:
        return found.chosen(base.BmcProtocol(stored))
    for protocol in (base.BmcProtocol.REDFISH, base.BmcProtocol.IPMI):
        if info.get(f'{protocol.value}_address'):
            return found.chosen(protocol)
    return found


def decided(node: Any) -> bmc_credentials.Credentials:
    """Return the node's credentials with the protocol known.

    :raises BmcSettingMissing: not detected yet.
    """
    found = credentials(node)
    if found.protocol is base.BmcProtocol.AUTO:
        raise exception.BmcSettingMissing(
            key='bmc_protocol',
            reason=(
                'it is not known yet whether this BMC speaks Redfish or '
                'IPMI. Run "openstack baremetal node manage" first, which '
                'detects it, or set it to redfish or ipmi.'
            ),
        )
    return found


def is_ipmi(node: Any) -> bool:
    """Return whether the node's BMC is spoken to in IPMI."""
    return decided(node).protocol is base.BmcProtocol.IPMI


def ask(task: Any, function: Callable[[Any], T], *, once: bool = False) -> T:
    """Run a function on the logged-in BMC of a task's node.

    :param once: it acts, so it is never run twice.
    """
    with failing_once(task):
        return ask_node(task.node, function, once=once)


@contextlib.contextmanager
def failing_once(task: Any) -> Iterator[None]:
    """Let what failed in a `manage` fail at once for the rest of it.

    Ironic goes on to each verify step; a wrong password would be tried again
    in each, and many BMCs lock an account after the third time.
    """
    if not being_managed(task):
        yield
        return
    failed = getattr(task, 'zsbm_failed', None)
    if failed is not None:
        raise failed
    try:
        yield
    except exception.BmcUnsupported:
        # What a BMC lacks leaves all else to be asked.
        raise
    except exception.ZsbmError as exc:
        task.zsbm_failed = exc
        raise


def ask_node(
    node: Any, function: Callable[[Any], T], *, once: bool = False
) -> T:
    """Run a function on a node's logged-in BMC.

    :param node: a node, or anything with uuid, driver_info and
        driver_internal_info.
    :param once: it acts, so it is never run twice.
    """
    return pool.shared().call(
        node.uuid,
        decided(node),
        function,
        once=once,
        hold=conf.CONF.zsbm_bmc.hold_sessions,
    )


def expected_keys(
    found: bmc_credentials.Credentials, facts: dict[str, Any]
) -> dict[str, Any]:
    """Return the upstream keys that these credentials amount to.

    :param facts: system_id, cipher_suite and console, as learned at manage.
    """
    host = found.address
    login = {'username': found.username, 'password': found.password}
    if found.protocol is base.BmcProtocol.IPMI:
        keys: dict[str, Any] = {'ipmi_address': host}
        keys |= {f'ipmi_{word}': value for word, value in login.items()}
        if found.ipmi.port != bmc_credentials.IPMI_PORT:
            keys['ipmi_port'] = found.ipmi.port
        if facts.get('cipher_suite') == 3:
            # ipmitool asks for 17, which this BMC does not have.
            keys['ipmi_cipher_suite'] = 3
        return keys
    url = f'{found.redfish.scheme}://'
    url += f'[{host}]' if ':' in host else host
    if found.redfish.port != bmc_credentials.REDFISH_PORT:
        url += f':{found.redfish.port}'
    keys = {'redfish_address': url}
    keys |= {f'redfish_{word}': value for word, value in login.items()}
    if facts.get('system_id'):
        keys['redfish_system_id'] = facts['system_id']
    if found.trust.fingerprint:
        keys['redfish_verify_ca'] = str(pins().path(found.trust.fingerprint))
    elif found.trust.ca_path:
        keys['redfish_verify_ca'] = found.trust.ca_path
    elif not found.trust.verify:
        keys['redfish_verify_ca'] = False
    if facts.get('console'):
        keys['ipmi_address'] = host
        keys |= {f'ipmi_{word}': value for word, value in login.items()}
    return keys


def _digest(value: str, salt: str = '') -> str:
    salt = salt or base64.b64encode(os.urandom(12)).decode()
    made = hashlib.scrypt(value.encode(), salt=salt.encode(), **_SCRYPT)
    return f'{salt}${base64.b64encode(made).decode()}'


def _is_ours(key: str, value: object, mark: object) -> bool:
    if key not in SECRETS:
        return value == mark
    if not isinstance(value, str) or not isinstance(mark, str):
        return False
    return _digest(value, mark.partition('$')[0]) == mark


def fill(node: Any, *, adopt: bool) -> bool:
    """Write upstream's keys where we may; the caller saves the node.

    A key is ours while it has the value that we gave it. What an operator
    wrote is never touched.

    :param adopt: also fill keys that are not there at all (at manage);
        otherwise only what we filled before follows a change of bmc_*.
    :returns: whether driver_info changed.
    """
    if not (node.driver_info or {}).get('bmc_address'):
        return False
    facts = known(node)
    marks = dict(facts.get('filled') or {})
    if not marks and not adopt:
        return False
    wanted = expected_keys(decided(node), facts)
    info = dict(node.driver_info)
    for key in set(wanted) | set(marks):
        value = info.get(key)
        if key in wanted and value == wanted[key]:
            continue
        ours = key in marks and _is_ours(key, value, marks[key])
        if not ours and (key in info or not adopt):
            if key in info:
                marks.pop(key, None)
            continue
        if key in wanted:
            info[key] = wanted[key]
            marks[key] = (
                _digest(wanted[key]) if key in SECRETS else wanted[key]
            )
        else:
            info.pop(key, None)
            marks.pop(key, None)
    if marks != facts.get('filled'):
        remember(node, filled=marks)
    if info == node.driver_info:
        return False
    node.driver_info = info
    return True


def refresh(task: Any, *, contact: bool = True) -> None:
    """Let filled keys follow a change of bmc_*, and keep the pin's file.

    Called before anything that may reach upstream's interfaces. With a
    shared lock the change is for this task only; the next exclusive one
    saves it.

    :param contact: whether the BMC may be asked for a certificate that was
        pinned after `manage`.
    :raises BmcCertificateChanged: it shows another one.
    """
    node = task.node
    before = node.driver_internal_info.get(KEY)
    pinned = credentials(node).trust.fingerprint
    if pinned and before:
        keep_pin(node, pinned, contact)
    changed = fill(node, adopt=False)
    if not task.shared and (
        changed or before != node.driver_internal_info.get(KEY)
    ):
        node.save()


def keep_pin(node: Any, pinned: str, contact: bool) -> None:
    """Have the pinned certificate as a file, for upstream's interfaces.

    Another conductor may have written it, or nobody yet: the certificate is
    in what is known of the node, or is asked for.
    """
    facts = known(node)
    if facts.get('fingerprint') != pinned or not facts.get('certificate'):
        if not contact:
            return
        found = credentials(node)
        shown = trust.check(found.address, found.redfish.port, found.trust)
        facts = {'fingerprint': pinned, 'certificate': shown.pem}
        remember(node, **facts)
    try:
        pins().write(pinned, facts['certificate'])
    except OSError as exc:
        raise exception.BmcSettingInvalid(
            key='bmc_cert_fingerprint',
            reason=(
                "the certificate cannot be kept for upstream's interfaces: "
                f'{exc}. Check [zsbm_bmc]certificate_dir.'
            ),
        ) from exc


def being_managed(task: Any) -> bool:
    """Return whether this task is the `manage` of its node."""
    return bool(task.node.provision_state == states.VERIFYING)
