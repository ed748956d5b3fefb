"""From a report to a pack: questions with points, and topics, in the schema of the bank.

A text is Korean where it has Hangul and English otherwise, and only that language is filled. Topic ids carry the pack's name, so
that a list's chapter never mixes with another pack's; a list without headings is one chapter named after the pack.
"""

from __future__ import annotations

import re
import zlib

from viva.bank import Question, Topic
from viva.exchange.report import ImportFailed, ImportReport
from viva.exchange.sentences import points_of
from viva.exchange.writer import write_pack, write_question
from viva.language import Language, Text

__all__ = ["build_pack", "pack_topics", "write_pack", "write_question"]

# Revised Romanisation, letter by letter: initial consonants, vowels, final consonants in the order of Unicode.
_INITIALS = ("g", "kk", "n", "d", "tt", "r", "m", "b", "pp", "s", "ss", "", "j", "jj", "ch", "k", "t", "p", "h")
_VOWELS = ("a", "ae", "ya", "yae", "eo", "e", "yeo", "ye", "o", "wa", "wae", "oe", "yo", "u", "wo", "we", "wi", "yu", "eu", "ui", "i")
_FINALS = ("", "k", "k", "k", "n", "n", "n", "t", "l", "k", "m", "l", "l", "l", "p", "l", "m", "p", "p", "t", "t", "ng", "t", "t", "k", "t", "p", "t")  # fmt: skip


def build_pack(report: ImportReport, pack_name: str, title: Text | str | None = None) -> list[Question]:
    """The questions of ``report`` in order: ids ``q001`` …, points drawn from the answers.

    A question without an answer has no points yet. ``title`` is the title of the pack; it names no question.

    Raises:
        ImportFailed: the list has no question.
    """
    if not report.questions:
        raise ImportFailed(report.name, 0, Text(
            ko="질문을 하나도 찾지 못했습니다. 질문을 제목(#)이나 ‘Q1.’으로 시작하거나, 질문 아래에 답을 글머리표로 적어 주세요.",
            en="no question was found; begin questions with a heading (#) or 'Q1.', or put the answer below the question as bullets",
        ))  # fmt: skip
    ids = _topic_ids(report, pack_name)
    width = max(3, len(str(len(report.questions))))
    questions = []
    for number, item in enumerate(report.questions, start=1):
        answer = item.answer_markdown
        spoken = language_of(answer)
        questions.append(
            Question(
                id=f"q{number:0{width}d}",
                seed=number,
                topic=ids[item.topic],
                question=_text(item.question),
                answer=_text(answer) if answer.strip() else None,
                points=points_of(answer, spoken),
                pack=pack_name,
            )
        )
    return questions


def pack_topics(report: ImportReport, pack_name: str) -> list[Topic]:
    """The chapters of ``report`` in the order of the list."""
    default = Text(ko="가져온 질문", en="Imported questions")
    return [Topic(id=slug, title=_text(topic) if topic else default) for topic, slug in _topic_ids(report, pack_name).items()]


def language_of(text: str) -> Language:
    """Korean where there is any Hangul, else English."""
    return "ko" if re.search("[가-힣ㄱ-ㆎ]", text) else "en"


def slug_of(text: str) -> str:
    """``text`` in ASCII words: Hangul romanised, other scripts by a checksum. ``딥러닝 CNN`` is ``dipreoning-cnn``."""
    roman = "".join(_roman(sign) for sign in text.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", roman).strip("-")
    return slug or f"topic-{zlib.crc32(text.encode()):08x}"


def _topic_ids(report: ImportReport, pack_name: str) -> dict[str | None, str]:
    ids: dict[str | None, str] = {}
    for item in report.questions:
        if item.topic in ids:
            continue
        full = pack_name if item.topic is None else f"{pack_name}-{slug_of(item.topic)}"
        slug, number = full[:64].rstrip("-"), 2
        while slug in ids.values():
            ending = f"-{number}"
            slug, number = full[: 64 - len(ending)].rstrip("-") + ending, number + 1
        ids[item.topic] = slug
    return ids


def _text(text: str) -> Text:
    return Text.model_validate({language_of(text): text})


def _roman(sign: str) -> str:
    code = ord(sign) - 0xAC00
    if not 0 <= code < 11172:
        return sign
    first, rest = divmod(code, 588)
    return _INITIALS[first] + _VOWELS[rest // 28] + _FINALS[rest % 28]
