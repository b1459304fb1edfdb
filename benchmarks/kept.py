# SPDX-License-Identifier: Apache-2.0
"""Runs that a result file keeps, so that an interrupted benchmark goes on."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence
from typing import Any, TypeVar

Run = TypeVar('Run')
FOLDER = pathlib.Path(__file__).parent / 'results'


def load(path: pathlib.Path, tree: str, kind: type[Run]) -> list[Run]:
    """Return the runs of a result file that are of this very code.

    :param kind: dataclass of a run.
    """
    try:
        document = json.loads(path.read_text())
    except OSError:
        return []
    if document['tree'] != tree:
        return []
    return [kind(**entry) for entry in document['runs']]


def store(
    path: pathlib.Path, tree: str, runs: Sequence[Any], **more: str
) -> None:
    """Write a result file.

    :param more: what it has beside the runs and the code that they are of.
    """
    path.parent.mkdir(exist_ok=True)
    document = {
        'tree': tree,
        **more,
        'runs': [dataclasses.asdict(run) for run in runs],
    }
    path.write_text(json.dumps(document, indent=1) + '\n')
