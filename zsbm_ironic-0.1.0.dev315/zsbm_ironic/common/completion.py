# SPDX-License-Identifier: Apache-2.0
"""Tab completion of our commands, by argcomplete.

Called by each command between building its parser and reading its arguments.
A shell that completes runs the command itself, marked by a variable, and
takes what it writes to a descriptor of its own.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterable


def offer(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that completes, and end; else return at once.

    Extras that bring a command only along have no argcomplete: there the
    command must end as well instead of being run by a press of the tab key.
    """
    if '_ARGCOMPLETE' not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        sys.exit(1)
    argcomplete.autocomplete(parser, always_complete_options=False)


def complete(
    argument: argparse.Action, words: Callable[..., Iterable[str]]
) -> None:
    """Let an argument be completed by the words of a function.

    :param words: takes argcomplete's keywords (prefix, parsed_args, ...).
    """
    argument.completer = words  # type: ignore[attr-defined]
