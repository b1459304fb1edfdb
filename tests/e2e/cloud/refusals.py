# SPDX-License-Identifier: Apache-2.0
"""What a member of one project must not do to a server of another.

Each is a call of Ironic's API; the answer has to be 403 or 404, and the node
has to be what it was before.
"""

# Method, path and body; `{node}` and `{port}` are filled in.
CALLS = (
    ('GET', '/v1/nodes/{node}', None),
    ('GET', '/v1/nodes/{node}/states', None),
    ('GET', '/v1/nodes/{node}/validate', None),
    ('GET', '/v1/nodes/{node}/vifs', None),
    ('GET', '/v1/nodes/{node}/traits', None),
    ('GET', '/v1/nodes/{node}/bios', None),
    ('GET', '/v1/nodes/{node}/firmware', None),
    ('GET', '/v1/nodes/{node}/history', None),
    ('GET', '/v1/nodes/{node}/inventory', None),
    ('GET', '/v1/nodes/{node}/states/console', None),
    ('GET', '/v1/nodes/{node}/management/boot_device', None),
    ('GET', '/v1/nodes/{node}/management/boot_device/supported', None),
    ('GET', '/v1/nodes/{node}/vendor_passthru/methods', None),
    ('GET', '/v1/nodes/{node}/vendor_passthru/boot_timeline', None),
    ('GET', '/v1/nodes/{node}/vendor_passthru/network_check', None),
    ('GET', '/v1/ports/{port}', None),
    ('PUT', '/v1/nodes/{node}/states/power', {'target': 'power off'}),
    ('PUT', '/v1/nodes/{node}/states/power', {'target': 'rebooting'}),
    ('PUT', '/v1/nodes/{node}/states/provision', {'target': 'active'}),
    ('PUT', '/v1/nodes/{node}/states/provision', {'target': 'rebuild'}),
    ('PUT', '/v1/nodes/{node}/states/provision', {'target': 'deleted'}),
    ('PUT', '/v1/nodes/{node}/states/provision', {'target': 'manage'}),
    ('PUT', '/v1/nodes/{node}/states/provision', {'target': 'inspect'}),
    (
        'PUT',
        '/v1/nodes/{node}/states/provision',
        {'target': 'rescue', 'rescue_password': 'not-your-server'},
    ),
    (
        'PUT',
        '/v1/nodes/{node}/states/provision',
        {
            'target': 'clean',
            'clean_steps': [{'interface': 'deploy', 'step': 'erase_devices'}],
        },
    ),
    ('PUT', '/v1/nodes/{node}/states/boot_mode', {'target': 'bios'}),
    ('PUT', '/v1/nodes/{node}/states/secure_boot', {'target': True}),
    ('PUT', '/v1/nodes/{node}/states/raid', {'logical_disks': []}),
    ('PUT', '/v1/nodes/{node}/states/console', {'enabled': True}),
    (
        'PUT',
        '/v1/nodes/{node}/management/boot_device',
        {'boot_device': 'pxe'},
    ),
    ('PUT', '/v1/nodes/{node}/management/inject_nmi', {}),
    ('PUT', '/v1/nodes/{node}/maintenance', {'reason': 'mine now'}),
    ('DELETE', '/v1/nodes/{node}/maintenance', None),
    ('POST', '/v1/nodes/{node}/vifs', {'id': 'any'}),
    ('DELETE', '/v1/nodes/{node}/vifs/any', None),
    ('PUT', '/v1/nodes/{node}/traits', {'traits': ['CUSTOM_MINE']}),
    ('DELETE', '/v1/nodes/{node}/traits', None),
    (
        'PATCH',
        '/v1/nodes/{node}',
        [{'op': 'add', 'path': '/extra/mine', 'value': 'yes'}],
    ),
    (
        'PATCH',
        '/v1/nodes/{node}',
        [{'op': 'replace', 'path': '/lessee', 'value': 'other'}],
    ),
    (
        'PATCH',
        '/v1/nodes/{node}',
        [{'op': 'add', 'path': '/driver_info/bmc_address', 'value': '::1'}],
    ),
    (
        'PATCH',
        '/v1/nodes/{node}',
        [{'op': 'add', 'path': '/instance_info/x', 'value': 'y'}],
    ),
    ('DELETE', '/v1/nodes/{node}', None),
    (
        'PATCH',
        '/v1/ports/{port}',
        [{'op': 'add', 'path': '/extra/mine', 'value': 'yes'}],
    ),
    ('DELETE', '/v1/ports/{port}', None),
    (
        'POST',
        '/v1/ports',
        {'node_uuid': '{node}', 'address': '52:54:00:ee:ee:ee'},
    ),
    ('GET', '/v1/conductors', None),
    ('GET', '/v1/chassis', None),
)
REFUSED = frozenset({403, 404})
# Of an API that knows all of these.
MICROVERSION = '1.86'
