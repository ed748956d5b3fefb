"""Captions of digit scenes in Korean and English, true by construction: each word follows from the boxes.

    place     "왼쪽 위에" / "at the upper left": where a box's centre lies on a 3×3 grid of the canvas
    size      "작은" / "small" below 1/4, "큰" / "large" from 3/8 on: a box's longer side to the canvas's shorter
    relation  "7 왼쪽에 3" / "a 3 to the left of a 7", "7 위에 3" / "a 3 above a 7": two digits well apart

A caption names every digit once, place by place in reading order. Within a place a digit of middling size
comes before those that have an adjective ("1과 작은 2"): the other way round Korean would not say whom "작은" is
about ("작은 2와 1").
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from viva.language import Text

Box = Sequence[float]  # x1 y1 x2 y2 in pixels

SMALL, LARGE = 1 / 4, 3 / 8

PLACES: tuple[Text, ...] = (  # row by row
    Text(ko="왼쪽 위에", en="at the upper left"),
    Text(ko="위쪽에", en="at the top"),
    Text(ko="오른쪽 위에", en="at the upper right"),
    Text(ko="왼쪽에", en="on the left"),
    Text(ko="한가운데에", en="in the middle"),
    Text(ko="오른쪽에", en="on the right"),
    Text(ko="왼쪽 아래에", en="at the lower left"),
    Text(ko="아래쪽에", en="at the bottom"),
    Text(ko="오른쪽 아래에", en="at the lower right"),
)
EMPTY = Text(ko="숫자가 없는 빈 화면", en="an empty canvas without digits")
ENDS_IN_CONSONANT = frozenset({0, 1, 3, 6, 7, 8})  # 영 일 삼 육 칠 팔: 과; 이 사 오 구: 와


def place(box: Box, height: int, width: int) -> int:
    """Where the centre of ``box`` lies: 0 to 8, row by row."""
    column = int(3 * (box[0] + box[2]) / 2 / width)
    row = int(3 * (box[1] + box[3]) / 2 / height)
    return 3 * row + column


def relation(a: Box, b: Box) -> str | None:
    """``"left"`` or ``"above"`` where box ``a`` is plainly that of ``b``, else None.

    Left: ``a`` ends before ``b`` begins, and their centres differ at most half as much in height as across.
    """
    across = (b[0] + b[2] - a[0] - a[2]) / 2
    down = (b[1] + b[3] - a[1] - a[3]) / 2
    if a[2] <= b[0] and 2 * abs(down) <= across:
        return "left"
    if a[3] <= b[1] and 2 * abs(across) <= down:
        return "above"
    return None


def name(box: Box, label: int, height: int, width: int) -> Text:
    """``"작은 3"`` / ``"a small 3"``, ``"8"`` / ``"an 8"``."""
    share = max(box[2] - box[0], box[3] - box[1]) / min(height, width)
    if share < SMALL:
        return Text(ko=f"작은 {label}", en=f"a small {label}")
    if share >= LARGE:
        return Text(ko=f"큰 {label}", en=f"a large {label}")
    return Text(ko=f"{label}", en=f"an {label}" if label == 8 else f"a {label}")


def caption(
    boxes: Sequence[Box], labels: Sequence[int], height: int, width: int, *, relation: bool = False
) -> Text:
    """A caption of boxes (n, 4) and digits (n,) on a canvas of ``height`` × ``width`` pixels.

    ``relation``: say of two digits how they lie to each other, where that is plain, instead of where each of
    them is.
    """
    if not boxes:
        return EMPTY
    named = [
        (place(box, height, width), box, label, name(box, label, height, width))
        for box, label in zip(boxes, labels, strict=True)
    ]
    if relation and len(named) == 2:
        related = _related(*named[0][1:], *named[1][1:]) or _related(*named[1][1:], *named[0][1:])
        if related is not None:
            return related
    named.sort(
        key=lambda item: (item[0], " " in item[3].get("ko"), item[1][0])
    )  # place, adjective, left edge
    korean, english = [], []
    crowded = False
    for where, group in groupby(named, key=lambda item: item[0]):
        members = [(label, text) for _, _, label, text in group]
        crowded |= len(members) > 1
        korean.append(
            f"{PLACES[where].ko} {_with([label for label, _ in members], [t.get('ko') for _, t in members])}"
        )
        english.append(f"{_listed([t.get('en') for _, t in members])} {PLACES[where].en}")
    return Text(ko=", ".join(korean), en=_listed(english, commas=crowded))


def _related(a: Box, label_a: int, text_a: Text, b: Box, label_b: int, text_b: Text) -> Text | None:
    found = relation(a, b)
    if found == "left":
        return Text(ko=f"{text_b.ko} 왼쪽에 {text_a.ko}", en=f"{text_a.en} to the left of {text_b.en}")
    if found == "above":
        return Text(ko=f"{text_b.ko} 위에 {text_a.ko}", en=f"{text_a.en} above {text_b.en}")
    return None


def _with(labels: Sequence[int], texts: Sequence[str]) -> str:
    """``"3과 2와 7"``: the particle follows the sound of the digit before it."""
    joined = [
        text + ("과" if label in ENDS_IN_CONSONANT else "와")
        for label, text in zip(labels[:-1], texts[:-1], strict=True)
    ]
    return " ".join([*joined, texts[-1]])


def _listed(texts: Sequence[str], *, commas: bool = False) -> str:
    """``"a and b"``, ``"a, b and c"``; ``commas``: one before the last *and* too, where parts have their own *and*."""
    if len(texts) == 1:
        return texts[0]
    return ", ".join(texts[:-1]) + (", and " if commas else " and ") + texts[-1]
