# SPDX-License-Identifier: Apache-2.0
"""Rows side by side, each in a lane that it has to itself.

Most of a row is waiting for a machine to boot, so a host with two cores has
room for about three. A lane has process ids, mounts and names of network
namespaces of its own and an overlay over /var/lib, where labs live; checkout,
programs and what takes minutes to build are shared. What a lab leaves there
is found by the next row of the lane and goes with the run. Called by
`tools/test full --jobs N`, which needs root for it.
"""

import contextlib
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence

from tests.matrix import checks, rows

# What is timed is not to be disturbed.
ALONE = 'benchmark'
CLOSING = re.compile(r'^(\d+) passed, (\d+) failed, (\d+) skipped$', re.M)
# $1: the lane's folder; further words: the command. Labs that the host has
# are not the lane's.
ENTER = """
lane=$1
shift
mount --make-rprivate /
mkdir -p /run/netns
mount -t tmpfs tmpfs /run/netns
mount -t overlay overlay \
    -o "lowerdir=/var/lib,upperdir=$lane/upper,workdir=$lane/work" /var/lib
[ -e "$lane/made" ] || rm -rf /var/lib/zsbm-lab*
: > "$lane/made"
exec "$@"
"""


def run(
    some: Sequence[rows.Row], jobs: int, again: bool
) -> tuple[checks.Outcome, list[rows.Row]]:
    """Run rows in lanes; print what each printed when it has ended.

    :returns: the sum, and the rows that are to be run alone.
    """
    waiting: queue.SimpleQueue[rows.Row] = queue.SimpleQueue()
    for row in some:
        if row.group != ALONE:
            waiting.put(row)
    total, guard = checks.Outcome(), threading.Lock()

    def work(lane: pathlib.Path) -> None:
        while True:
            try:
                row = waiting.get_nowait()
            except queue.Empty:
                return
            text, outcome = _run_one(row, lane, again)
            with guard:
                print(text, end='', flush=True)
                total.add(outcome)

    with _folder() as folder:
        threads = []
        for number in range(jobs):
            lane = folder / str(number)
            for name in ('upper', 'work'):
                (lane / name).mkdir(parents=True)
            threads.append(
                threading.Thread(target=work, args=(lane,), daemon=True)
            )
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return total, [row for row in some if row.group == ALONE]


@contextlib.contextmanager
def _folder() -> Iterator[pathlib.Path]:
    """Make a folder that an overlay can be on: not in /tmp, often a tmpfs."""
    folder = pathlib.Path(
        tempfile.mkdtemp(prefix='zsbm-lanes-', dir='/var/tmp')
    )
    # The lab's users pass through it.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _run_one(
    row: rows.Row, lane: pathlib.Path, again: bool
) -> tuple[str, checks.Outcome]:
    done = subprocess.run(
        [
            # However this process dies, nothing of the lane outlives it.
            *('setpriv', '--pdeathsig', 'KILL', '--'),
            *('unshare', '--mount', '--pid', '--fork', '--mount-proc'),
            *('--kill-child', 'sh', '-ec', ENTER, 'lane', str(lane)),
            *(sys.executable, '-m', 'tests.matrix', 'full', row.title),
            *(['--again'] if again else []),
        ],
        cwd=checks.TOP,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        check=False,
    )
    return done.stdout, _outcome(row, done.stdout)


def _outcome(row: rows.Row, text: str) -> checks.Outcome:
    """Read the closing line; a row that has none did not run."""
    found = CLOSING.findall(text)
    if not found:
        print(f'== {row.title}: no closing line', flush=True)
        return checks.Outcome(failed=1)
    passed, failed, skipped = map(int, found[-1])
    return checks.Outcome(passed, failed, skipped)
