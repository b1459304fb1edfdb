# SPDX-License-Identifier: Apache-2.0
"""Configuration of nginx: one read-only site, nothing of /etc/nginx.

Called by the service. Own prefix, pid and temporary directories, so that an
nginx of the host is not touched. The access log goes to standard output as
one JSON object a line, which the service turns into events.
"""

import pathlib

from zsbm_ironic.netboot import settings

CONFIGURATION = 'nginx.conf'
TEMPORARY = ('body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')

# Ironic links images from its cache (agent_images): a link is followed where
# link and target have one owner, so that nobody else's link leads anywhere.
_SITE = """\
daemon off;
worker_processes auto;
pid {run}/nginx.pid;
error_log stderr warn;
events {{
    worker_connections 4096;
}}
http {{
    log_format event escape=json '{{"address":"$remote_addr",'
        '"method":"$request_method","uri":"$request_uri",'
        '"status":"$status","bytes":"$body_bytes_sent",'
        '"seconds":"$request_time","agent":"$http_user_agent"}}';
    access_log /dev/stdout event;
{temporary}
    default_type application/octet-stream;
    types {{
        text/plain txt ipxe;
        application/efi efi;
    }}
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 65;
    server_tokens off;
    server {{
        listen {address}:{port};
        root {root};
        autoindex off;
        disable_symlinks if_not_owner from=$document_root;
        location / {{
            limit_except GET HEAD {{
                deny all;
            }}
        }}
    }}
}}
"""


def configuration(own: settings.Settings) -> str:
    """Return the configuration file."""
    temporary = '\n'.join(
        f'    {"client_body" if name == "body" else name}_temp_path '
        f'{temporary_directory(own, name)};'
        for name in TEMPORARY
    )
    return _SITE.format(
        run=own.run_dir,
        temporary=temporary,
        address=own.listen_address,
        port=own.http_port,
        root=own.http_root,
    )


def temporary_directory(own: settings.Settings, name: str) -> pathlib.Path:
    """Return one of nginx's temporary directories."""
    return own.run_dir / 'nginx' / name
