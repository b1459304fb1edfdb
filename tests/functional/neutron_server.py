# SPDX-License-Identifier: Apache-2.0
"""As much of Neutron's API as ironic needs of one network, in memory.

Networks and subnets are given, ports come and go. It stands in for Neutron's
answers only; a test with the real one is another matter.
"""

import http.server
import json
import threading
import urllib.parse
import uuid

import fixtures

ADDRESS = '127.0.0.1'
BOUND = {'binding:vif_type': 'other', 'status': 'ACTIVE'}


class _Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self, status, body=None):
        data = b'' if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _body(self):
        size = int(self.headers.get('Content-Length') or 0)
        return json.loads(self.rfile.read(size) or b'{}')

    def _steps(self):
        found = urllib.parse.urlparse(self.path)
        steps = [step for step in found.path.split('/') if step]
        return steps[1:], urllib.parse.parse_qs(found.query)

    def do_GET(self):
        steps, query = self._steps()
        if not steps:
            url = f'http://{ADDRESS}:{self.server.server_port}/v2.0/'
            links = [{'rel': 'self', 'href': url}]
            version = {'id': 'v2.0', 'status': 'CURRENT', 'links': links}
            return self._answer(200, {'versions': [version]})
        kind = self.server.data.get(steps[0])
        if kind is None:
            return self._answer(404, {'NeutronError': {'message': '404'}})
        if len(steps) == 2:
            found = kind.get(steps[1])
            if found is None:
                return self._answer(404, {'NeutronError': {'message': '404'}})
            return self._answer(200, {steps[0][:-1]: found})
        found = [
            one
            for one in kind.values()
            if all(
                key not in one or str(one[key]) in values
                for key, values in query.items()
            )
        ]
        return self._answer(200, {steps[0]: found})

    def do_POST(self):
        steps, _query = self._steps()
        wanted = self._body()[steps[0][:-1]]
        subnet = next(iter(self.server.data['subnets'].values()))
        if not self.server.addresses:
            error = {'type': 'IpAddressGenerationFailure', 'message': 'none'}
            return self._answer(409, {'NeutronError': error})
        port = {
            'id': str(uuid.uuid4()),
            'fixed_ips': [
                {
                    'subnet_id': subnet['id'],
                    'ip_address': self.server.addresses.pop(0),
                }
            ],
            **wanted,
        }
        self.server.data['ports'][port['id']] = port
        return self._answer(201, {'port': port})

    def do_PUT(self):
        steps, _query = self._steps()
        port = self.server.data['ports'][steps[1]]
        port.update(self._body()['port'])
        if port.get('binding:host_id'):
            port.update(self.server.fixture.binding)
        return self._answer(200, {'port': port})

    def do_DELETE(self):
        steps, _query = self._steps()
        self.server.data['ports'].pop(steps[1], None)
        return self._answer(204)

    def log_message(self, *_arguments):
        """Say nothing."""


class NeutronServer(fixtures.Fixture):
    """The server.

    :param cidr: of its one subnet.
    :param addresses: which its ports get, in this order; without one left it
        makes no port.
    :ivar subnet: as the API shows it; tests set `enable_dhcp`.
    :ivar binding: what a port becomes once it has a host.
    :ivar data: all that it has, by kind and id. What is not there, such as
        `segments`, is an extension that is not loaded.
    """

    def __init__(self, cidr, addresses):
        super().__init__()
        self._addresses = list(addresses)
        self.binding = BOUND
        self.network = str(uuid.uuid4())
        self.subnet = {
            'id': str(uuid.uuid4()),
            'network_id': self.network,
            'cidr': cidr,
            'ip_version': 4,
            'enable_dhcp': False,
        }

    def _setUp(self):
        self._server = http.server.ThreadingHTTPServer((ADDRESS, 0), _Handler)
        self._server.addresses = self._addresses
        self._server.fixture = self
        self.data = self._server.data = {
            'networks': {
                self.network: {'id': self.network, 'name': 'provisioning'}
            },
            'subnets': {self.subnet['id']: self.subnet},
            'ports': {},
        }
        self.url = f'http://{ADDRESS}:{self._server.server_port}'
        threading.Thread(
            target=self._server.serve_forever, daemon=True
        ).start()
        self.addCleanup(self._server.server_close)
        self.addCleanup(self._server.shutdown)

    @property
    def ports(self):
        """The ports that are there now."""
        return list(self.data['ports'].values())
