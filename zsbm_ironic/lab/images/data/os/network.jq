# SPDX-License-Identifier: Apache-2.0
# OpenStack's network_data.json -> files of systemd-networkd, one a line:
# name, tab, content with \n. Links of the types phy, bond and vlan; networks
# of the types ipv4, ipv6, ipv4_dhcp, ipv6_dhcp and ipv6_slaac.

def prefix: # 24 stays 24; 255.255.255.0 becomes 24
  if type == "number" then .
  elif test("^[0-9]+$") then tonumber
  else split(".") | map(tonumber |
    {"255":8,"254":7,"252":6,"248":5,"240":4,"224":3,"192":2,"128":1,"0":0}
      [tostring]) | add
  end;

def default_route: .network == "0.0.0.0" or .network == "::";

def route:
  "[Route]\\nGateway=\(.gateway)\\n" +
  if default_route then ""
  else "Destination=\(.network)/\(.netmask | prefix)\\n" end;

def network:
  if .type == "ipv4_dhcp" then "DHCP=ipv4\\n"
  elif .type == "ipv6_dhcp" or .type == "ipv6_dhcpv6-stateful"
  then "DHCP=ipv6\\nIPv6AcceptRA=yes\\n"
  elif .type == "ipv6_slaac" then "IPv6AcceptRA=yes\\n"
  elif .type == "ipv4" or .type == "ipv6" then
    (.ip_address | split("/")) as $address |
    "Address=\($address[0])/\($address[1] // .netmask | prefix)\\n" +
    if .gateway then "Gateway=\(.gateway)\\n" else "" end
  else "" end;

def bond:
  "[Bond]\\nMode=\(.bond_mode // "active-backup")\\n" +
  if .bond_miimon then "MIIMonitorSec=\(.bond_miimon)ms\\n" else "" end;

. as $data
| (.links // [] | map(select(.type == "vlan" or .ethernet_mac_address)))
| . as $all
| map(. + if .type == "vlan" then {name: "vlan\(.vlan_id)"}
          elif .type == "bond" then .id as $id |
            {name: "bond\($all | map(select(.type == "bond") | .id)
              | index($id))"}
          else {} end) as $links
| $links
| to_entries[]
| .key as $place
| .value as $link
| ($data.networks // [] | map(select(.link == $link.id))) as $networks
| ($links | map(select(.type == "vlan" and .vlan_link == $link.id)))
    as $vlans
| ($links | map(select(.type == "bond" and
     (.bond_links // [] | index($link.id)))) | first) as $bond
| ( if $link.type == "vlan" then
      "10-\($link.name).netdev\t[NetDev]\\nName=\($link.name)\\nKind=vlan\\n" +
      ( if $link.vlan_mac_address
        then "MACAddress=\($link.vlan_mac_address)\\n" else "" end ) +
      "[VLAN]\\nId=\($link.vlan_id)\\n"
    elif $link.type == "bond" then
      "10-\($link.name).netdev\t[NetDev]\\nName=\($link.name)\\nKind=bond\\n" +
      "MACAddress=\($link.ethernet_mac_address)\\n" + ($link | bond)
    else empty end ),
  "10-link\($place).network\t[Match]\\n" +
  ( if $link.name then "Name=\($link.name)\\n"
    # A member takes the address of its bond.
    else (if $bond then "Permanent" else "" end) +
      "MACAddress=\($link.ethernet_mac_address)\\nType=ether\\n" end ) +
  ( if $link.mtu then "[Link]\\nMTUBytes=\($link.mtu)\\n" else "" end ) +
  "[Network]\\n" +
  ( if $bond then "Bond=\($bond.name)\\n" else "" end ) +
  ( $vlans | map("VLAN=\(.name)\\n") | add // "" ) +
  ( $networks | map(network) | add // "" ) +
  ( $networks | map(.routes // [] | .[] | route) | add // "" )
