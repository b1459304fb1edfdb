# SPDX-License-Identifier: Apache-2.0
"""Group [zsbm_netboot]: what the management node serves, and where.

Read by the conductor (provider `zsbm`, boot interfaces `zsbm-*`) and by the
service `zsbm-netboot`: give both the same file, so that they agree on the two
directories and on the subnets.
"""

from oslo_config import cfg, types

GROUP = cfg.OptGroup(
    name='zsbm_netboot', title='DHCP, TFTP and HTTP of the management node'
)

LOADERS = {
    'x86-bios': '/usr/lib/ipxe/undionly.kpxe',
    'x86-64-uefi': '/usr/lib/ipxe/snponly.efi',
}

OPTS = [
    cfg.StrOpt(
        'interface',
        regex=r'^[A-Za-z0-9_.:-]{1,15}$',
        help=(
            'Network interface of this host on the provisioning network. '
            'The service answers DHCP on it and on no other. Required by '
            'zsbm-netboot.'
        ),
    ),
    cfg.HostAddressOpt(
        'listen_address',
        help=(
            'IPv4 address on which TFTP and HTTP are served and which '
            'machines are told. Unset: the first IPv4 address of the '
            'interface.'
        ),
    ),
    cfg.MultiOpt(
        'subnets',
        item_type=types.Dict(),
        help=(
            'One line a subnet in which machines are served, as '
            'key:value pairs with commas between them. cidr: the network, '
            'required. range: FIRST-LAST, the addresses that the conductor '
            'may give out; leave it out where Neutron assigns addresses. '
            'Too small a range makes the next machine fail with an error '
            'that says so. gateway: the default router, none if left out. '
            'dns: name servers with semicolons between them. relayed:true: '
            'requests come through a DHCP relay. physical_network: only '
            'ports with this physical_network get an address here. Without a '
            'line the service answers no DHCP: for [dhcp]dhcp_provider = '
            'neutron. '
            'Example: cidr:198.51.100.0/24,'
            'range:198.51.100.50-198.51.100.99,gateway:198.51.100.1'
        ),
    ),
    cfg.IntOpt(
        'lease_time_s',
        default=3600,
        min=120,
        max=604800,
        help=(
            'Seconds for which an address is leased. A machine always gets '
            'the same address; low values only cost renewals, high ones '
            'delay what a changed gateway or name server needs to reach a '
            'running machine.'
        ),
    ),
    cfg.StrOpt(
        'desired_dir',
        default='/var/lib/zsbm-netboot/desired',
        help=(
            'Directory of desired state: one file a MAC, written by the '
            'conductor alone and readable by the group of the service.'
        ),
    ),
    cfg.StrOpt(
        'status_dir',
        default='/var/lib/zsbm-netboot/status',
        help=(
            'Directory that the service alone writes (leases, events, '
            'foreign DHCP servers, a heartbeat) and the group of the '
            'conductor reads.'
        ),
    ),
    cfg.StrOpt(
        'run_dir',
        default='/run/zsbm-netboot',
        help=(
            'Directory of the service for rendered configuration, pid and '
            'temporary files of dnsmasq and nginx.'
        ),
    ),
    cfg.StrOpt(
        'tftp_root',
        default='/tftpboot',
        help='Directory served by TFTP: the same as [pxe]tftp_root.',
    ),
    cfg.StrOpt(
        'http_root',
        default='/httpboot',
        help='Directory served by HTTP: the same as [deploy]http_root.',
    ),
    cfg.PortOpt(
        'http_port',
        default=8080,
        help='TCP port of HTTP: the same as in [deploy]http_url.',
    ),
    cfg.Opt(
        'loaders',
        type=types.Dict(),
        default=LOADERS,
        help=(
            'iPXE loader of each architecture, as NAME:PATH. Names: '
            'x86-bios, x86-64-uefi, x86-32-uefi, arm32-uefi, arm64-uefi, '
            'riscv64-uefi, loongarch64-uefi. The conductor copies them to '
            'the TFTP and HTTP roots; an architecture that is left out is '
            'given no boot file.'
        ),
    ),
    cfg.StrOpt(
        'dnsmasq',
        default='/usr/sbin/dnsmasq',
        help='The dnsmasq program (2.90 or newer; package dnsmasq-base).',
    ),
    cfg.StrOpt(
        'nginx',
        default='/usr/sbin/nginx',
        help='The nginx program (1.22 or newer; package nginx-light).',
    ),
    cfg.BoolOpt(
        'router_advertisements',
        default=True,
        help=(
            'Whether IPv6 router solicitations are answered with "no '
            'router, no prefix". iPXE asks at every boot and waits about '
            '20 seconds if nobody answers. Switch it off where a router '
            'advertises on this network.'
        ),
    ),
    cfg.IntOpt(
        'rogue_probe_interval_s',
        default=30,
        min=0,
        max=3600,
        help=(
            'Seconds between two looks for another DHCP server on the '
            'interface; 0 switches them off. High values find it late: '
            'above 100 a deploy may fail before it is named.'
        ),
    ),
    cfg.ListOpt(
        'known_dhcp_servers',
        item_type=types.IPAddress(4),
        default=[],
        help=(
            "Addresses of DHCP servers that belong here, such as Neutron's "
            "and other conductors': they are not reported."
        ),
    ),
    cfg.IntOpt(
        'service_timeout_s',
        default=10,
        min=3,
        max=100,
        help=(
            'Seconds without a heartbeat after which the conductor holds '
            'that zsbm-netboot does not run. It beats every second: low '
            'values fail boots on a busy host, high ones find a dead '
            'service late.'
        ),
    ),
    cfg.IntOpt(
        'reconcile_interval_s',
        default=10,
        min=2,
        max=60,
        help=(
            'Seconds between two comparisons of the desired state with the '
            'nodes and ports of this conductor. High values leave the '
            'address of a deleted port longer.'
        ),
    ),
    cfg.IntOpt(
        'conductor_timeout_s',
        default=120,
        min=0,
        max=3600,
        help=(
            'Seconds without a sign of life of the conductor after which '
            'the service gives machines their address and nothing to boot: '
            'another conductor may have taken its nodes over, and what this '
            'one wanted last is not true for ever. The conductor gives one '
            'every reconcile_interval_s: values near that stop boots on a '
            'busy host, high ones offer two boots for longer. 0: never.'
        ),
    ),
    cfg.StrOpt(
        'timeline_dir',
        default='/var/lib/ironic/zsbm-timeline',
        help=(
            'Directory in which the conductor keeps the boot timeline of '
            'each node, one bounded file a node.'
        ),
    ),
    cfg.IntOpt(
        'timeline_events',
        default=500,
        min=50,
        max=10000,
        help=(
            'How many events are kept of each node (and of each MAC by the '
            'service); the oldest go first. Low values lose the start of a '
            'long deploy.'
        ),
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the group and its options on `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTS, group=GROUP)
