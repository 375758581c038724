"""Text as pictures can show it: font, names in every script, line breaks and cuts."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont, features

from dicomnode.domain.errors import EncodingError

#: Stands where the font has no letters, such as for Chinese, Japanese and Korean; the headers have the full text.
NOT_SHOWN = "[other script]"
NAME_NOT_SHOWN = "[name in another script]"

#: Put before a line, it keeps the order of the line's parts where one of them is Arabic or Hebrew (UAX #9).
LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"

#: A character of no font; Pillow draws the box for it.
_NO_CHARACTER = "\uffff"

#: Joining and reordering Arabic and Hebrew takes this part of Pillow; without it their letters come out backwards.
SHAPES = bool(features.check("raqm"))


@cache
def font_file(*, bold: bool = False) -> Path:
    """DejaVu Sans, which comes with matplotlib: Latin, Greek, Cyrillic, Arabic and more on every machine alike.

    Raises
    ------
    EncodingError
        If matplotlib's data are not installed.
    """
    # Found without importing matplotlib, which would look for a folder to write its cache to.
    spec = find_spec("matplotlib")
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    file = Path(spec.origin or "").parent / "mpl-data" / "fonts" / "ttf" / name if spec else Path(name)
    if not file.is_file():
        raise EncodingError(f"pictures: found no {name} beside matplotlib, needed its fonts")
    return file


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The font at a height of `size` pixels."""
    return ImageFont.truetype(str(font_file(bold=bold)), size)


def drawable(text: str, *, shapes: bool = SHAPES) -> str:
    """`text` on one line, with `NOT_SHOWN` for every run of characters that cannot be drawn.

    Parameters
    ----------
    shapes
        Whether whoever draws it can join and reorder letters.
    """
    parts: list[str] = []
    for character in unicodedata.normalize("NFC", " ".join(text.split())):
        if _has(character) and (shapes or not right_to_left(character)):
            parts.append(character)
        elif not parts or parts[-1] != NOT_SHOWN:
            parts.append(NOT_SHOWN)
    # Words of a script that is not there are one gap, not one each.
    return re.sub(rf"{re.escape(NOT_SHOWN)}(?:[\s]*{re.escape(NOT_SHOWN)})+", NOT_SHOWN, "".join(parts))


def name_text(value: object, *, shapes: bool = SHAPES) -> str:
    """A person's name (PS3.5 6.2.1) for reading: `Family, Given Middle`.

    Of its component groups the first that can be drawn as a whole is shown, the alphabetic one where there is one.
    """
    groups = [_spoken(group) for group in str(value or "").split("=")]
    told = [group for group in groups if group]
    for group in told:
        if drawable(group, shapes=shapes) == group:
            return group
    return NAME_NOT_SHOWN if told else "no name"


def _spoken(group: str) -> str:
    family, given, middle, prefix, suffix = (
        " ".join(part.split()) for part in ([*group.split("^"), "", "", "", "", ""])[:5]
    )
    front = " ".join(part for part in (prefix, given, middle) if part)
    name = ", ".join(part for part in (family, front) if part)
    return unicodedata.normalize("NFC", " ".join(part for part in (name, suffix) if part))


def cut(text: str, width: float, face: ImageFont.FreeTypeFont) -> str:
    """`text`, or as much of its beginning with an ellipsis as is no wider than `width` pixels."""
    if face.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if face.getlength(f"{text[:middle].rstrip()}…") <= width:
            low = middle
        else:
            high = middle - 1
    return f"{text[:low].rstrip()}…"


def wrapped(text: str, width: float, face: ImageFont.FreeTypeFont, most: int | None = None) -> list[str]:
    """`text` broken between words into lines no wider than `width` pixels; a last line of `most` is cut."""
    lines: list[str] = []
    rest = text.split()
    while rest:
        if most is not None and len(lines) == most - 1:
            return [*lines, cut(" ".join(rest), width, face)]
        count = 1
        while count < len(rest) and face.getlength(" ".join(rest[: count + 1])) <= width:
            count += 1
        lines.append(cut(" ".join(rest[:count]), width, face))
        rest = rest[count:]
    return lines


@lru_cache(maxsize=4096)
def _has(character: str) -> bool:
    if character in (" ", LEFT_TO_RIGHT):
        return True
    face = font(20)
    return not unicodedata.category(character).startswith("C") and bytes(face.getmask(character)) != _box()


@cache
def _box() -> bytes:
    return bytes(font(20).getmask(_NO_CHARACTER))


def right_to_left(text: str) -> bool:
    """Whether some letter is of a script written from right to left."""
    return any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
