# SPDX-License-Identifier: Apache-2.0
"""A deploy by upstream's type `ipmi` against one by `zsbm`.

python -m benchmarks.bench_deploy_ipmi [--pairs N]
"""

from benchmarks import deploy

if __name__ == '__main__':
    deploy.main('metal-bios')
