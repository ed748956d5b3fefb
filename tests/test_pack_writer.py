"""Packs on disk: what is written is what is read, and never half of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viva.bank import (
    Claim,
    Cues,
    FollowUp,
    Misconception,
    Point,
    Question,
    Topic,
    load_bank,
    load_pack,
    read_question,
)
from viva.exchange import write_pack, write_question
from viva.exchange.writer import PackExists
from viva.language import Text

TITLE = Text(ko="내 목록", en="My list")
TOPICS = [Topic(id="basics", title=Text(ko="기초: \"시작\"")), Topic(id="cnn", title=Text(en="CNN"))]


def question(number: int = 1, **fields: object) -> Question:
    values: dict[str, object] = {"id": f"q{number:03d}", "seed": number, "topic": "basics", "question": Text(ko="무엇인가요?"), "points": (), "pack": "mine", **fields}
    return Question.model_validate(values)


LETTERS = st.characters(codec="utf-8")
AWKWARD = st.sampled_from([
    "---", "\n---\n", "a: b", "# x", "## ko", "\n## en\n", "- a", "'", '"', "\\", "\t", "\n", "\r", "\r\n", "*x", "&a", "{}", "[", "| >", "%", "@", "!!str", "null", "yes", "1", "1.0", "~", "  ", " ", ":",
    "\u2028", "\x85", "\ufeff", "\x00", "\x1b", "😀", "가", "각", "$x$", "```", "...", "<<", "=", "?", "0x1f", "2024-01-01", "1e3", "\u202e",
])  # fmt: skip
WORDS = st.lists(st.one_of(AWKWARD, st.text(LETTERS, max_size=8)), min_size=1, max_size=8).map("".join)
SAID = WORDS.filter(lambda text: bool(text.strip()))
TEXTS = st.one_of(
    SAID.map(lambda text: Text(ko=text)), SAID.map(lambda text: Text(en=text)), st.tuples(SAID, SAID).map(lambda two: Text(ko=two[0], en=two[1])),
    st.tuples(SAID, WORDS).map(lambda two: Text(ko=two[0], en=two[1])),
)  # fmt: skip
CUES = st.builds(Cues, ko=st.lists(WORDS, max_size=3).map(tuple), en=st.lists(WORDS, max_size=2).map(tuple))
SLUGS = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,6}){0,2}", fullmatch=True)


@st.composite
def questions(draw: st.DrawFn) -> list[Question]:
    ids = draw(st.lists(SLUGS, min_size=1, max_size=3, unique=True))
    made = []
    for name in ids:
        claims = tuple(
            Claim(id=claim, text=draw(TEXTS), kind=kind, lab="a-lab" if kind == "lab" else None)
            for claim, kind in zip(draw(st.lists(SLUGS, max_size=2, unique=True)), ("lab", "opinion"), strict=False)
        )
        claim = claims[0].id if claims else None
        made.append(
            Question(
                id=name, seed=draw(st.none() | st.integers(1, 99)), topic=draw(st.sampled_from(["basics", "cnn", "unlisted"])), level=draw(st.integers(1, 3)),
                question=draw(TEXTS), answer=draw(st.none() | TEXTS), claims=claims, pack="mine",
                points=tuple(Point(id=p, weight=draw(st.integers(1, 3)), text=draw(TEXTS), cues=draw(CUES), opposite=draw(CUES), claim=claim) for p in draw(st.lists(SLUGS, max_size=2, unique=True))),
                misconceptions=tuple(Misconception(id=m, text=draw(TEXTS), correction=draw(TEXTS), cues=draw(CUES)) for m in draw(st.lists(SLUGS, max_size=1))),
                follow_ups=tuple(FollowUp(id=draw(WORDS), text=draw(TEXTS)) for _ in range(draw(st.integers(0, 1)))),
            )
        )  # fmt: skip
    return made


@settings(max_examples=150)
@given(questions(), TEXTS)
def test_what_is_written_is_what_is_read(made: list[Question], title: Text) -> None:
    with tempfile.TemporaryDirectory() as folder:
        pack = load_pack(write_pack(Path(folder) / "mine", title, TOPICS, made), "mine")
    assert pack.problems == ()
    assert {q.id: q for q in pack.questions} == {q.id: q for q in made}
    assert pack.title == title
    assert list(pack.topics[:2]) == TOPICS


def test_ordinary_answers_stand_under_their_language_for_people_to_edit(tmp_path: Path) -> None:
    made = question(answer=Text(ko="첫째.\n\n### 둘째\n- 셋째", en="One --- two\n---"))
    folder = write_pack(tmp_path / "mine", TITLE, TOPICS, [made])
    text = (folder / "basics" / "q001.md").read_text(encoding="utf-8")
    assert "\n## ko\n\n첫째.\n\n### 둘째\n- 셋째\n\n## en\n\nOne --- two\n---\n" in text
    assert load_pack(folder, "mine").questions == (made,)


def test_an_answer_with_section_lines_of_its_own_is_kept_to_the_letter(tmp_path: Path) -> None:
    made = question(answer=Text(ko="  ## en\n\n## ko\n\n끝  "))
    assert load_pack(write_pack(tmp_path / "mine", TITLE, TOPICS, [made]), "mine").questions == (made,)


def test_a_pack_that_is_there_is_not_overwritten_unless_told(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "mine", TITLE, TOPICS, [question(1)])
    with pytest.raises(PackExists, match="is there already"):
        write_pack(folder, TITLE, TOPICS, [question(2)])
    assert [q.id for q in load_pack(folder, "mine").questions] == ["q001"]
    write_pack(folder, TITLE, TOPICS, [question(2)], overwrite=True)
    assert [q.id for q in load_pack(folder, "mine").questions] == ["q002"]
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == ["mine"]


@pytest.mark.parametrize("failing", range(4))
def test_a_full_disk_leaves_no_half_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    real, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > failing:
            raise OSError(28, "No space left on device")
        real(handle)

    (tmp_path / "packs").mkdir()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_pack(tmp_path / "packs" / "mine", TITLE, TOPICS, [question(n) for n in range(1, 5)])
    assert list((tmp_path / "packs").iterdir()) == []


def test_a_failing_rename_brings_the_old_pack_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pack(tmp_path / "packs" / "mine", TITLE, TOPICS, [question(1)])
    real = os.rename

    def refuse(source: Path, target: Path) -> None:
        if Path(source).name.startswith(".writing-"):
            raise OSError(13, "Permission denied")
        real(source, target)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="Permission"):
        write_pack(folder, TITLE, TOPICS, [question(2)], overwrite=True)
    assert [path.name for path in (tmp_path / "packs").iterdir()] == ["mine"]
    assert [q.id for q in load_pack(folder, "mine").questions] == ["q001"]


@pytest.mark.parametrize("topic", ["../up", "a/b", ".hidden", "", "Upper", "한글"])
def test_a_topic_that_would_leave_the_folder_is_refused(tmp_path: Path, topic: str) -> None:
    with pytest.raises(ValueError, match="cannot name a folder"):
        write_pack(tmp_path / "packs" / "mine", TITLE, [], [question(topic=topic)])
    assert not (tmp_path / "packs").exists()


def test_an_id_used_twice_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'q001' is used twice"):
        write_pack(tmp_path / "mine", TITLE, TOPICS, [question(1), question(1)])


def test_more_topics_than_a_manifest_can_hold_are_refused(tmp_path: Path) -> None:
    topics = [Topic(id=f"t{number}", title=Text(ko="긴 제목 " * 20)) for number in range(6_000)]
    with pytest.raises(ValueError, match=r"6,000 topics .* split the list"):
        write_pack(tmp_path / "mine", TITLE, topics, [])
    assert not (tmp_path / "mine").exists()


def test_a_question_that_the_loader_would_refuse_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at most 1,000,000"):
        write_pack(tmp_path / "mine", TITLE, TOPICS, [question(answer=Text(ko="가" * 400_000))])
    with pytest.raises(ValueError, match="half of a character"):
        write_pack(tmp_path / "mine", TITLE, TOPICS, [question(question=Text(en="\ud800"))])
    assert not (tmp_path / "mine").exists()


def test_editing_one_question_replaces_its_file_and_only_that(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "mine", TITLE, TOPICS, [question(1), question(2)])
    new = question(1, question=Text(ko="왜인가요?"), points=(Point(id="p1", text=Text(ko="까닭"), cues=Cues(ko=("까닭",))),))
    path = folder / "basics" / "q001.md"
    write_question(path, new)
    assert read_question(path, pack="mine") == new
    assert sorted(file.name for file in path.parent.iterdir()) == ["q001.md", "q002.md"]


def test_a_failed_edit_leaves_the_old_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pack(tmp_path / "mine", TITLE, TOPICS, [question(1)])
    path = folder / "basics" / "q001.md"

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_question(path, question(1, question=Text(ko="왜인가요?")))
    assert read_question(path, pack="mine") == question(1)
    assert [file.name for file in path.parent.iterdir()] == ["q001.md"]


def test_a_question_is_written_only_to_its_own_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"that would be basics/q001\.md"):
        write_question(tmp_path / "basics" / "q002.md", question(1))


def test_packs_being_written_are_hidden_from_the_bank(tmp_path: Path) -> None:
    folder = write_pack(tmp_path / "mine", TITLE, TOPICS, [question(1)])
    bank, problems = load_bank([folder], built_in=False)
    assert [q.key for q in bank] == ["mine.q001"] and problems == ()
