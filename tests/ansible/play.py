# SPDX-License-Identifier: Apache-2.0
"""Runs the playbook in the environment that Ansible has to itself."""

import json
import os
import pathlib
import subprocess

from zsbm_ironic.common import artifacts, whole_file
from zsbm_ironic.lab import layout
from zsbm_ironic.lab.cloud import environment

HERE = pathlib.Path(__file__).parent
KIND = 'ansible-python'
NEEDED_BYTES = 1 << 30
LIMIT_S = 3000


def life_cycle(folder, url, variables, within=()):
    """Run the playbook; return its exit status and what it printed.

    :param folder: for its files; those with passwords are for their owner.
    :param url: of Ironic, which asks nobody who he is.
    :param variables: see the playbook.
    :param within: words before the program: where it runs.
    """
    cache = artifacts.Artifacts(layout.Layout.from_environment().cache)
    lock = (HERE / 'requirements.txt').read_bytes()
    programs = environment.of_lock(cache, KIND, lock, needs_bytes=NEEDED_BYTES)
    python = programs.program('python')
    whole_file.write(
        folder / 'variables.json',
        json.dumps({**variables, 'ansible_python_interpreter': python}),
        mode=0o600,
    )
    auth = {'auth_type': 'none', 'auth': {'endpoint': url}}
    clouds = folder / 'clouds.yaml'
    clouds.write_text(json.dumps({'clouds': {'metal': auth}}))
    done = subprocess.run(
        [
            *within,
            *(python, '-m', 'ansible', 'playbook'),
            *('--inventory', 'localhost,', '--connection', 'local'),
            *('--extra-vars', f'@{folder / "variables.json"}'),
            str(HERE / 'life_cycle.yaml'),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={
            **os.environ,
            'ANSIBLE_HOME': str(folder),
            'ANSIBLE_NOCOLOR': '1',
            'HOME': str(folder),
            'LC_ALL': 'C.UTF-8',
            'OS_CLIENT_CONFIG_FILE': str(clouds),
            'OS_CLOUD': 'metal',
        },
    )
    return done.returncode, done.stdout
