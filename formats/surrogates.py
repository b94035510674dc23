r"""Halves of surrogate pairs in JSON escapes (`\ud83d` alone), which no UTF-8 text can hold.

JavaScript writes them whenever it cuts a string inside an emoji. They become U+FFFD, so that the log is kept.
"""

import re
from typing import Final

_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend_surrogates(text: bytes) -> bytes:
    """The same JSON text with every half pair replaced; its length and all positions stay the same."""
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(_mended, text)


def _mended(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if escape[1] else escape[0]
