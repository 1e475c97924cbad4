"""What a terminal may be given of texts that others wrote: messages of Events, descriptions, names.

A terminal obeys what is in a text; a tenant's words must not clear the screen of whoever looks.
"""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Text of one line in which control characters are spelled and not sent.

    Examples
    --------
    >>> print(printable("Back-off\x1b[2J\n restarting"))
    Back-off\x1b[2J\n restarting
    """
    return "".join(each if each.isprintable() else _spelled(each) for each in text)


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
