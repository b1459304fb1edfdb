# SPDX-License-Identifier: Apache-2.0
import sys

from tests.matrix import command

sys.exit(command.main())
