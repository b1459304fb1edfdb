# SPDX-License-Identifier: Apache-2.0
"""Turn rows of name,address,username,password,mac into servers.json."""

import csv
import json
import sys


def node(row):
    entry = {
        'name': row['name'],
        'driver': 'zsbm',
        'resource_class': 'baremetal',
        'driver_info': {
            'bmc_address': row['address'],
            'bmc_username': row['username'],
            'bmc_password': row['password'],
        },
    }
    if row.get('fingerprint'):
        entry['driver_info']['bmc_cert_fingerprint'] = row['fingerprint']
    if row.get('mac'):
        entry['ports'] = [{'address': row['mac']}]
    return entry


with open(sys.argv[1], newline='', encoding='utf-8') as table:
    json.dump(
        {'nodes': [node(row) for row in csv.DictReader(table)]},
        sys.stdout,
        indent=1,
    )
