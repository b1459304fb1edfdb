# SPDX-License-Identifier: Apache-2.0
"""Ansible's modules for Ironic, as they are released, on our servers.

requirements.in, requirements.txt
    Ansible with its collections, in an environment of its own.
life_cycle.yaml
    A playbook as an operator writes it: from enrolment to deletion.
play
    What runs it.
"""
