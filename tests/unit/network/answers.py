# SPDX-License-Identifier: Apache-2.0
"""What switches print, written by us in the format that their makers describe.

Port 7 is in VLAN 201; port 48 is a trunk of 100 (native) and 200 to 299.
"""

import json

_IOS_ACCESS = """\
Name: Gi1/0/7
Switchport: Enabled
Administrative Mode: static access
Operational Mode: {mode}
Administrative Trunking Encapsulation: dot1q
Operational Trunking Encapsulation: native
Negotiation of Trunking: Off
Access Mode VLAN: 201 (net-201)
Trunking Native Mode VLAN: 1 (default)
Administrative Native VLAN tagging: enabled
Voice VLAN: none
Operational private-vlan: none
Trunking VLANs Enabled: ALL
Pruning VLANs Enabled: 2-1001
Capture Mode Disabled
Capture VLANs Allowed: ALL

Protected: false
Unknown unicast blocked: disabled
Unknown multicast blocked: disabled
Appliance trust: none
"""
_IOS_TRUNK = """\
Name: Gi1/0/48
Switchport: Enabled
Administrative Mode: trunk
Operational Mode: trunk
Administrative Trunking Encapsulation: dot1q
Operational Trunking Encapsulation: dot1q
Negotiation of Trunking: On
Access Mode VLAN: 1 (default)
Trunking Native Mode VLAN: 100 (provisioning)
Administrative Native VLAN tagging: enabled
Voice VLAN: none
Trunking VLANs Enabled: 100,200-299
Pruning VLANs Enabled: 2-1001
Protected: false
"""
_IOS_ROUTED = """\
Name: Gi1/0/47
Switchport: Disabled
"""
_IOS_INTERFACE = """\
GigabitEthernet1/0/{number} is {state}
  Hardware is Gigabit Ethernet, address is 0011.2233.4407 (bia 0011.2233.4407)
  Description: a server
  MTU 1500 bytes, BW 1000000 Kbit/sec, DLY 10 usec,
     reliability 255/255, txload 1/255, rxload 1/255
  Encapsulation ARPA, loopback not set
  Keepalive set (10 sec)
  Full-duplex, 1000Mb/s, media type is 10/100/1000BaseTX
  input flow-control is off, output flow-control is unsupported
  ARP type: ARPA, ARP Timeout 04:00:00
  Last input never, output 00:00:01, output hang never
  Last clearing of "show interface" counters never
  Input queue: 0/2000/0/0 (size/max/drops/flushes); Total output drops: 0
  Queueing strategy: fifo
  Output queue: 0/40 (size/max)
  5 minute input rate 0 bits/sec, 0 packets/sec
  5 minute output rate 2000 bits/sec, 2 packets/sec
     100 packets input, 12000 bytes, 0 no buffer
     Received 10 broadcasts (5 multicasts)
     0 runts, 0 giants, 0 throttles
     0 input errors, 0 CRC, 0 frame, 0 overrun, 0 ignored
     200 packets output, 24000 bytes, 0 underruns
     0 output errors, 0 collisions, 1 interface resets
"""
SPANNING_TREE = """\
 Port 7 ({port}) of VLAN0201 is designated forwarding
   Port path cost 4, Port priority 128, Port Identifier 128.7.
   Designated port id is 128.7, designated path cost 0
   Timers: message age 0, forward delay 0, hold 0
   Number of transitions to forwarding state: 1
{edge}   Link type is point-to-point by default
   BPDU: sent 100, received 0
"""
_UP = 'up, line protocol is up (connected)'
_NOT_CONNECTED = 'down, line protocol is down (notconnect)'
_SHUT = 'administratively down, line protocol is down (disabled)'
_IOS_MAC = """\
          Mac Address Table
-------------------------------------------

Vlan    Mac Address       Type        Ports
----    -----------       --------    -----
"""

IOS = {
    'show interfaces Gi1/0/7': _IOS_INTERFACE.format(number=7, state=_UP),
    'show interfaces Gi1/0/7 switchport': _IOS_ACCESS.format(
        mode='static access'
    ),
    'show interfaces Gi1/0/8': _IOS_INTERFACE.format(
        number=8, state=_NOT_CONNECTED
    ),
    'show interfaces Gi1/0/8 switchport': _IOS_ACCESS.format(mode='down'),
    'show interfaces Gi1/0/9': _IOS_INTERFACE.format(number=9, state=_SHUT),
    'show interfaces Gi1/0/9 switchport': _IOS_ACCESS.format(mode='down'),
    'show interfaces Gi1/0/47': _IOS_INTERFACE.format(number=47, state=_UP),
    'show interfaces Gi1/0/47 switchport': _IOS_ROUTED,
    'show interfaces Gi1/0/48': _IOS_INTERFACE.format(number=48, state=_UP),
    'show interfaces Gi1/0/48 switchport': _IOS_TRUNK,
    'show spanning-tree interface Gi1/0/7 detail': SPANNING_TREE.format(
        port='GigabitEthernet1/0/7',
        edge='   The port is in the portfast mode\n',
    ),
    'show spanning-tree interface Gi1/0/48 detail': SPANNING_TREE.format(
        port='GigabitEthernet1/0/48', edge=''
    ),
    'show mac address-table address 5254.0000.0007': _IOS_MAC
    + ' 201    5254.0000.0007    DYNAMIC     Gi1/0/7\n'
    + 'Total Mac Addresses for this criterion: 1\n',
    'show mac address-table address 5254.0000.0099': _IOS_MAC,
}

_NXOS_ACCESS = """\
Name: Ethernet1/7
  Switchport: Enabled
  Switchport Monitor: Not enabled
  Operational Mode: access
  Access Mode VLAN: 201 (VLAN0201)
  Trunking Native Mode VLAN: 1 (default)
  Trunking VLANs Allowed: 1-4094
  Voice VLAN: none
  Extended Trust State : not trusted [COS = 0]
"""
_NXOS_TRUNK = """\
Name: Ethernet1/48
  Switchport: Enabled
  Switchport Monitor: Not enabled
  Operational Mode: trunk
  Access Mode VLAN: 1 (default)
  Trunking Native Mode VLAN: 100 (provisioning)
  Trunking VLANs Allowed: {allowed}
  Voice VLAN: none
"""
_NXOS_INTERFACE = """\
Ethernet1/{number} is {state}
admin state is {admin}, Dedicated Interface
  Hardware: 100/1000/10000 Ethernet, address: 0011.2233.4407 (bia \
0011.2233.4407)
  Description: a server
  MTU 9216 bytes, BW 10000000 Kbit, DLY 10 usec
  reliability 255/255, txload 1/255, rxload 1/255
  Encapsulation ARPA, medium is broadcast
  Port mode is access
  full-duplex, 10 Gb/s, media type is 10G
  Beacon is turned off
  Auto-Negotiation is turned on, FEC mode is Auto
  Input flow-control is off, output flow-control is off
  Auto-mdix is turned off
  Rate mode is dedicated
  Switchport monitor is off
  EtherType is 0x8100
  EEE (efficient-ethernet) : n/a
  Last link flapped never
  Last clearing of "show interface" counters never
  0 interface resets
"""
_NXOS_MAC = """\
Legend:
        * - primary entry, G - Gateway MAC, (R) - Routed MAC, O - Overlay MAC
        age - seconds since last seen,+ - primary entry using vPC Peer-Link,
        (T) - True, (F) - False, C - ControlPlane MAC, ~ - vsan
   VLAN     MAC Address      Type      age     Secure NTFY Ports
---------+-----------------+--------+---------+------+----+------------------
"""
_NXOS_ALLOWED = '100,200-299'

NXOS = {
    'show interface Ethernet1/7': _NXOS_INTERFACE.format(
        number=7, state='up', admin='up'
    ),
    'show interface Ethernet1/7 switchport': _NXOS_ACCESS,
    'show interface Ethernet1/8': _NXOS_INTERFACE.format(
        number=8, state='down (Link not connected)', admin='up'
    ),
    'show interface Ethernet1/8 switchport': _NXOS_ACCESS,
    'show interface Ethernet1/9': _NXOS_INTERFACE.format(
        number=9, state='down (Administratively down)', admin='down'
    ),
    'show interface Ethernet1/9 switchport': _NXOS_ACCESS,
    'show interface Ethernet1/48': _NXOS_INTERFACE.format(
        number=48, state='up', admin='up'
    ),
    'show interface Ethernet1/48 switchport': _NXOS_TRUNK.format(
        allowed=_NXOS_ALLOWED
    ),
    # A list that went on in a line which the template does not read.
    'show interface Ethernet1/49': _NXOS_INTERFACE.format(
        number=49, state='up', admin='up'
    ),
    'show interface Ethernet1/49 switchport': _NXOS_TRUNK.format(
        allowed='100,200,'
    ),
    'show interface Ethernet1/99': (
        "                       ^\nInvalid range at '^' marker.\n"
    ),
    'show spanning-tree interface Ethernet1/7 detail': SPANNING_TREE.format(
        port='Ethernet1/7', edge='   The port type is edge\n'
    ),
    'show spanning-tree interface Ethernet1/48 detail': SPANNING_TREE.format(
        port='Ethernet1/48', edge=''
    ),
    'show mac address-table address 5254.0000.0007': _NXOS_MAC
    + '*  201     5254.0000.0007   dynamic  40         F      F    Eth1/7\n',
    'show mac address-table address 5254.0000.0099': _NXOS_MAC,
}


def _eos_interface(line: str, status: str) -> dict[str, object]:
    return {
        'forwardingModel': 'bridged',
        'lineProtocolStatus': line,
        'interfaceStatus': status,
        'mtu': 9214,
        'description': 'a server',
        'physicalAddress': '00:11:22:33:44:07',
    }


def _eos_port(mode: str) -> dict[str, object]:
    return {
        'enabled': True,
        'switchportInfo': {
            'mode': mode,
            'accessVlanId': 201 if mode == 'access' else 1,
            'accessVlanName': 'net-201',
            'trunkAllowedVlans': 'ALL' if mode == 'access' else '100,200-299',
            'trunkingNativeVlanId': 1 if mode == 'access' else 100,
            'trunkGroups': [],
        },
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=4) + '\n'


_EOS_ACCESS = {'switchports': {'Ethernet7': _eos_port('access')}}
_EOS_TRUNK = {'switchports': {'Ethernet48': _eos_port('trunk')}}

EOS = {
    'show interfaces Ethernet7 | json': _json(
        {'interfaces': {'Ethernet7': _eos_interface('up', 'connected')}}
    ),
    'show interfaces Ethernet7 switchport | json': _json(_EOS_ACCESS),
    'show interfaces Ethernet8 | json': _json(
        {'interfaces': {'Ethernet8': _eos_interface('down', 'notconnect')}}
    ),
    'show interfaces Ethernet8 switchport | json': _json(_EOS_ACCESS),
    'show interfaces Ethernet9 | json': _json(
        {'interfaces': {'Ethernet9': _eos_interface('down', 'disabled')}}
    ),
    'show interfaces Ethernet9 switchport | json': _json(_EOS_ACCESS),
    'show interfaces Ethernet47 | json': _json(
        {'interfaces': {'Ethernet47': _eos_interface('up', 'connected')}}
    ),
    'show interfaces Ethernet47 switchport | json': _json({'switchports': {}}),
    'show interfaces Ethernet48 | json': _json(
        {'interfaces': {'Ethernet48': _eos_interface('up', 'connected')}}
    ),
    'show interfaces Ethernet48 switchport | json': _json(_EOS_TRUNK),
    'show interfaces Ethernet99 | json': '% Interface does not exist\n',
    'show spanning-tree interface Ethernet7 detail': SPANNING_TREE.format(
        port='Ethernet7', edge='   The port type is edge\n'
    ),
    'show spanning-tree interface Ethernet48 detail': SPANNING_TREE.format(
        port='Ethernet48', edge=''
    ),
    'show mac address-table address 5254.0000.0007 | json': _json(
        {
            'unicastTable': {
                'tableEntries': [
                    {
                        'vlanId': 201,
                        'macAddress': '52:54:00:00:00:07',
                        'entryType': 'dynamic',
                        'interface': 'Ethernet7',
                        'moves': 1,
                        'lastMove': 1790000000.5,
                    }
                ]
            },
            'multicastTable': {'tableEntries': []},
        }
    ),
    'show mac address-table address 5254.0000.0099 | json': _json(
        {'unicastTable': {'tableEntries': []}}
    ),
}
