# SPDX-License-Identifier: Apache-2.0
"""A deploy by upstream's type `redfish` against one by `zsbm`.

python -m benchmarks.bench_deploy_redfish [--pairs N]
"""

from benchmarks import deploy

if __name__ == '__main__':
    deploy.main('metal-uefi')
