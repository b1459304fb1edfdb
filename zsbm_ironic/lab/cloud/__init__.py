# SPDX-License-Identifier: Apache-2.0
"""A whole small OpenStack for the lab: `zsbm-lab up --cloud`.

environment
    The services of one release, installed from a lock file, kept in the cache.
passwords
    One for each account, made once.
store
    MariaDB with a database for each service; RabbitMQ; memcached.
api
    An API under uWSGI: its process, its address, whether it answers.
keystone, placement, glance, neutron, nova, metal
    A room for each service: its options, its tables, its processes. `metal`
    is Ironic, as this package's own environment has it.
horizon
    All of it in a browser.
node_agent
    Reports servers to Neutron as hosts.
fabric
    Switches and hosts: Open vSwitch in user space, OVN.
hypervisor
    libvirt on the host of VMs.
own_folders
    Programs that have folders of the host for themselves.
world, vpc
    What a fresh cloud has in it: projects, networks, flavours, an image; the
    networks of a member.
servers
    Machines of the lab on their way to where Nova finds them.
cloud
    Brings all of it up, in the order in which one needs another.
"""
