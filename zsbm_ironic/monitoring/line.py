# SPDX-License-Identifier: Apache-2.0
"""Text from elsewhere as one short line: of BMCs, of people, of servers."""


def line(said: object, chars: int) -> str:
    """Return a text as one line that can be printed, empty for none.

    :param chars: how many are looked at.
    """
    if said is None:
        return ''
    text = ''.join(
        one if one.isprintable() else ' ' for one in str(said)[:chars]
    )
    return ' '.join(text.split())
