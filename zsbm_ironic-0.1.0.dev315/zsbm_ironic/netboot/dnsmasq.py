# SPDX-License-Identifier: Apache-2.0
"""Configuration of dnsmasq, rendered from settings and desired state.

Called by the service. Two programs: one serves DHCP and is started anew when
the desired state changes, one serves TFTP and is left alone, so that no
transfer breaks. Hosts and options are rendered from records that passed the
schema; nothing else of a record gets here, and strangers get no answer.

Why DHCP is started anew: dnsmasq 2.90 adds changed hosts but keeps the old
ones until SIGHUP, and at SIGHUP it crashes once a host with a tag has been
answered (it frees the tag's list, which the answer had linked to others).
Addresses are fixed and leases are in a file, so a start loses nothing.

Option codes and spelling: dnsmasq(8) of 2.90.
"""

from collections.abc import Iterable

from zsbm_ironic.netboot import arch, desired, settings, subnets

CONFIGURATION = 'dnsmasq.conf'
TFTP_CONFIGURATION = 'dnsmasq-tftp.conf'
HOSTS = 'dnsmasq.hosts'
OPTIONS = 'dnsmasq.options'

# A client that is offered a loader chosen here; others have their own.
AUTOMATIC = 'zsbm'

_WHEN = {'always': '', 'ipxe': 'tag:ipxe,', 'not-ipxe': 'tag:!ipxe,'}


def configuration(own: settings.Settings) -> str:
    """Return the configuration of DHCP: what does not change with nodes."""
    lines = [
        *_common(own),
        'log-dhcp',
        f'dhcp-leasefile={own.lease_file}',
        f'dhcp-hostsfile={own.run_dir}/{HOSTS}',
        f'dhcp-optsfile={own.run_dir}/{OPTIONS}',
        'dhcp-authoritative',
        'dhcp-ignore=tag:!known',
        'dhcp-ignore-names',
        'dhcp-no-override',
        'dhcp-lease-max=10000',
    ]
    for index, subnet in enumerate(own.subnets):
        lines += _subnet(f'subnet{index}', subnet, own.lease_time_s)
    lines += ['dhcp-match=set:ipxe,175', 'dhcp-userclass=set:ipxe,iPXE']
    # no-pxedhcp (https://ipxe.org/cfg): else iPXE waits 2 s at each boot for
    # a second server that tells the boot file.
    lines += ['dhcp-option=tag:ipxe,encap:175,176,1b']
    lines += ['dhcp-vendorclass=set:http,HTTPClient']
    for architecture in own.architectures:
        lines += _architecture(architecture, own)
    lines += [
        f'dhcp-option-force=tag:{AUTOMATIC},tag:http,tag:!ipxe,60,HTTPClient',
        f'dhcp-option=tag:{AUTOMATIC},tag:!http,66,{own.listen_address}',
        f'dhcp-option=tag:{AUTOMATIC},tag:!http,150,{own.listen_address}',
        f'dhcp-option=tag:{AUTOMATIC},255,{own.listen_address}',
    ]
    return '\n'.join(lines) + '\n'


def tftp_configuration(own: settings.Settings) -> str:
    """Return the configuration of TFTP."""
    lines = [
        *_common(own),
        f'enable-tftp={own.interface}',
        f'tftp-root={own.tftp_root}',
        'tftp-max=500',
    ]
    return '\n'.join(lines) + '\n'


def hosts(records: Iterable[desired.Record]) -> str:
    """Return the hosts file: a fixed address for each MAC and subnet."""
    lines = []
    for record in records:
        if record.served_by != 'zsbm':
            continue
        # Firmware, iPXE and ramdisk send different client ids; without
        # id:* each of them would hold a lease of its own.
        client = record.client_id or '*'
        tags = f'set:{_tag(record)}'
        if record.script:
            tags += f',set:{AUTOMATIC}'
        lines += [
            f'{record.mac},id:{client},{tags},{address}'
            for address in record.addresses
        ]
    return ''.join(line + '\n' for line in lines)


def options(records: Iterable[desired.Record]) -> str:
    """Return the options file: scripts and what ironic chose itself."""
    lines = []
    for record in records:
        tag = _tag(record)
        if record.script:
            lines.append(f'tag:{tag},tag:ipxe,67,{record.script}')
        for option in record.options:
            when = _WHEN[option.when]
            lines.append(f'tag:{tag},{when}{option.code},{option.value}')
    return ''.join(line + '\n' for line in lines)


def _common(own: settings.Settings) -> list[str]:
    return [
        'keep-in-foreground',
        'log-facility=-',
        'pid-file=',
        'port=0',
        'no-resolv',
        'no-hosts',
        f'interface={own.interface}',
        'bind-dynamic',
    ]


def _tag(record: desired.Record) -> str:
    return 'mac' + record.mac.replace(':', '')


def _subnet(tag: str, subnet: subnets.Subnet, lease_time_s: int) -> list[str]:
    gateway = f',{subnet.gateway}' if subnet.gateway else ''
    dns = ''.join(f',{address}' for address in subnet.dns)
    # 'static': only addresses that the hosts file names are leased. Without
    # a value an option is not sent; dnsmasq would else name itself.
    return [
        f'dhcp-range=set:{tag},{subnet.cidr.network_address},static,'
        f'{subnet.cidr.netmask},{lease_time_s}',
        f'dhcp-option=tag:{tag},option:router{gateway}',
        f'dhcp-option=tag:{tag},option:dns-server{dns}',
    ]


def _architecture(
    architecture: arch.Architecture, own: settings.Settings
) -> list[str]:
    tag = f'arch-{architecture.name}'
    lines = [
        f'dhcp-match=set:{tag},option:client-arch,{code}'
        for code in architecture.tftp_codes + architecture.http_codes
    ]
    lines += [
        f'dhcp-match=set:http,option:client-arch,{code}'
        for code in architecture.http_codes
    ]
    # Old ROMs send no option 93, only the text of PXE 2.1, section 2.2.
    lines += [
        f'dhcp-vendorclass=set:{tag},PXEClient:Arch:{code:05d}'
        for code in architecture.tftp_codes
    ]
    first = f'dhcp-option=tag:{AUTOMATIC},tag:!ipxe,tag:{tag}'
    return [
        *lines,
        f'{first},tag:!http,67,{architecture.path}',
        f'{first},tag:http,67,{own.http_url}/{architecture.path}',
    ]
