"""NSMC's tab-separated files: quotes are characters, a carriage return ends no line, empty reviews are left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from viva.data import nsmc
from viva.data.splits import overlap, split

HEADER = "id\tdocument\tlabel\n"


def reviews(*rows: tuple[str, str, object]) -> bytes:
    return (HEADER + "".join(f"{identity}\t{document}\t{label}\n" for identity, document, label in rows)).encode()


@given(
    st.lists(
        st.tuples(
            st.text("0123456789", min_size=1, max_size=9),
            st.text(st.characters(exclude_characters="\t\n", exclude_categories=["Cs"])).filter(str.strip),
            st.integers(0, 1),
        )
    )
)
def test_what_is_written_comes_back(rows: list[tuple[str, str, int]]) -> None:
    read = nsmc.read_reviews(reviews(*rows))
    assert list(zip(read.ids, read.documents, read.labels.tolist(), strict=True)) == rows
    assert read.labels.dtype == torch.int64


def test_quotes_are_characters_and_lines_end_at_line_feeds_alone() -> None:
    read = nsmc.read_reviews(reviews(("1", '"최고', 1), ("2", 'a"b"', 0), ("3", "둘 \r 셋\x85\u2028넷", 1)))
    assert read.documents == ['"최고', 'a"b"', "둘 \r 셋\x85\u2028넷"] and read.labels.tolist() == [1, 0, 1]


def test_empty_reviews_are_left_out_unless_asked_for() -> None:
    content = reviews(("1", "", 1), ("2", "  ", 0), ("3", "좋다", 1))
    assert nsmc.read_reviews(content).ids == ["3"]
    assert nsmc.read_reviews(content, keep_empty=True).documents == ["", "  ", "좋다"]


def test_windows_line_ends_a_byte_order_mark_and_a_missing_last_line_end_do_no_harm() -> None:
    content = b"\xef\xbb\xbf" + reviews(("1", "좋다", 1), ("2", "싫다", 0)).replace(b"\n", b"\r\n")
    assert nsmc.read_reviews(content).labels.tolist() == nsmc.read_reviews(content.rstrip()).labels.tolist() == [1, 0]
    assert nsmc.read_reviews(content).documents == ["좋다", "싫다"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begins with ''"),
        (b"<html>\n", "begins with '<html>', expected the header"),
        ((HEADER + "1\tx\t1\n2\tx\n").encode(), "line 3: 2 columns"),
        ((HEADER + "1\tx\ty\t1\n").encode(), "line 2: 4 columns"),
        ((HEADER + "1\tx\t2\n").encode(), "line 2: the label is '2'"),
        ((HEADER + "1\tx\t\n").encode(), "line 2: the label is ''"),
        ((HEADER + "\n1\tx\t1\n").encode(), "line 2: 1 columns"),
        (HEADER.encode() + "1\t좋다\t1\n".encode("cp949"), "is no UTF-8"),
    ],
)
def test_a_file_of_another_form_is_named_with_its_line(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "ratings_train.txt").write_bytes(content)
    with pytest.raises(ValueError) as raised:
        nsmc.load("train", folder=tmp_path)
    assert reason in str(raised.value) and str(tmp_path) in str(raised.value)


def test_a_file_without_reviews_has_none() -> None:
    read = nsmc.read_reviews(HEADER.encode())
    assert len(read) == 0 and read.labels.shape == (0,)


def test_another_part_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no 'dev'"):
        nsmc.load("dev")  # type: ignore[arg-type]


def test_reviews_that_say_the_same_have_one_key() -> None:
    assert nsmc.review_key(" 정말  GOOD\r ") == nsmc.review_key("정말 good")
    assert nsmc.review_key("정말 good") != nsmc.review_key("정말good")


def test_what_the_test_has_is_taken_from_the_training() -> None:
    train = nsmc.read_reviews(reviews(("1", "최고 ", 1), ("2", "별로", 0), ("3", "최고", 0)))
    test = nsmc.read_reviews(reviews(("4", "최고", 1)))
    assert nsmc.without_leaks(train, test).ids == ["2"]
    assert len(test) == 1 and train[1] == ("별로", 0)


def test_the_mirrors_reviews_are_balanced_and_well_formed(mirror: Path) -> None:
    train, test = nsmc.load("train", allow_download=False), nsmc.load("test", allow_download=False)
    total = (len(train), len(test))
    # As published (empty reviews left out), or the smaller set rebuilt from the same raw reviews.
    assert total in {(150_000 - 5, 50_000 - 3), (50_000, 10_000)}
    assert abs(float(train.labels.float().mean()) - 0.5) < 0.01 and abs(float(test.labels.float().mean()) - 0.5) < 0.01
    assert all(0 < len(document) <= 150 and "\n" not in document and "\t" not in document for document in train.documents)
    assert any(document.startswith('"') for document in train.documents)


def test_no_review_of_the_test_is_left_in_the_training(mirror: Path) -> None:
    train, test = nsmc.load("train", allow_download=False), nsmc.load("test", allow_download=False)
    keys = [[nsmc.review_key(document) for document in part.documents] for part in (train, test)]
    assert len(overlap(*keys)) > 0  # the split as it is published leaks
    clean = nsmc.without_leaks(train, test)
    assert len(train) - len(clean) == len(overlap(*keys))
    clean = clean.take(range(10_000))
    own = [nsmc.review_key(document) for document in clean.documents]
    parts = split(own, strata=clean.labels)
    sides = [{own[i] for i in part.tolist()} for part in parts]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert abs(float(clean.labels[parts.test].float().mean()) - float(clean.labels.float().mean())) < 0.002
