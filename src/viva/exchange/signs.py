"""What makes a line read as a question, in Korean and in English.

A line reads *strongly* as a question when it ends with a question mark, in an interrogative or in a request to explain
("…설명하라", "Describe …"); *weakly* when it only names what is asked for ("…의 차이점", "Advantages of …"). The
importers combine this with the shape of the page; a title with bullets below it needs less than a lone line.
"""

from __future__ import annotations

import re
from enum import IntEnum


class Sign(IntEnum):
    none = 0
    weak = 1
    strong = 2


_LOOKED_AT = 600
"""Characters; longer lines are no questions, and patterns stay cheap on hostile ones."""
_MARK = 60

_STEMS = (
    "설명|서술|기술|비교|논|정의|유도|증명|계산|나열|구|말|답|답변|대답|구현|소개|제시|해석|분석|요약|열거|작성|묘사|예측|추정|평가|논의|제안|설계|구분|도출"
)
_KOREAN_REQUEST = re.compile(
    rf"(?:{_STEMS})\s?(?:을|를)?\s?(?:하라|해라|하시오|하세요|하십시오|하자|해\s?보(?:라|세요|시오|십시오|아라|자)|해\s?(?:주세요|주십시오|주시오|줘)|해봐|해요)$"
    r"|(?:쓰시오|쓰라|써라|써\s?보세요|적으시오|적어라|적어\s?보세요|드시오|들어라|들어\s?보세요|고르시오|구하라|말하라)$"
)
_KOREAN_INTERROGATIVE = re.compile(
    r"(?:인가|은가|는가|한가|던가|일까|을까|할까|될까|볼까|니까|나요|가요|까요|는지요|무엇인지|뭔지|왜인지|무엇|이란|뭐지|뭔가|인가요)$"
)
_KOREAN_NOUN = re.compile(
    r"(?:차이|차이점|공통점|이유|방법|방식|개념|의미|뜻|종류|원리|장단점|장점|단점|정의|과정|특징|특성|역할|목적|원인|구조|관계|필요성|비교|설명|예시|용도|한계|문제점|수식|효과|영향|중요성|조건|기준|절차|해결책|대안|사례|란)$"
)
_ENGLISH_REQUEST = re.compile(
    r"(?:please\s+)?(?:explain|describe|compare|define|derive|discuss|prove|state|outline|summari[sz]e|contrast|differentiate|"
    r"distinguish|tell me|tell us|walk me|walk us|walk through|name|list(?! of)|give (?:an|a|some|two|three|the|me|us|examples?)|"
    r"calculate|compute|sketch|draw|implement|write|design|show that|show how|justify|suppose|interpret|elaborate)\s+[^:\s]",
    re.IGNORECASE,
)
_ENGLISH_WH = re.compile(
    r"(?:(?:in|for|under|to|by|from|at) (?:what|which)|what|why|how|when|where|which|who|whose|whom)(?:'s|’s)?\s+\S", re.IGNORECASE
)
_ENGLISH_WEAK_WH = re.compile(r"(?:how to|when|where)\b", re.IGNORECASE)
_ENGLISH_NOUN = re.compile(
    r"\b(?:differences?|advantages?|disadvantages?|pros and cons|types? of|definition of|role of|purpose of|intuition|vs\.?|versus)\b",
    re.IGNORECASE,
)
_TRAILING_BRACKETS = re.compile(r"\s*[(（\[][^()（）\[\]]{0,80}[)）\]]\s*$")
_DRESS = "*_~`#\"'“”‘’「」『』 \t:："

_Q = re.compile(
    r"^\W{0,4}?(?:(?:Q|Question|문|질문|문제|문항)\s*[.\-#]?\s*\d{1,5}|Q|Question|문|질문|문제)"
    r"(?:\*\*|__)?\s*(?:[.:)\]．：)】]|(?<=\d)\s)\s*(?:\*\*|__)?\s*(?=\S)",
    re.IGNORECASE,
)
_A = re.compile(
    r"^\W{0,4}?(?:(?:A|Ans|Answer|답|답변|정답|해답|모범 ?답안|해설|풀이)\s*[.\-#]?\s*\d{0,5})"
    r"(?:\*\*|__)?\s*[.:)\]．：)】]\s*(?:\*\*|__)?\s*",
    re.IGNORECASE,
)
_A_COLON = re.compile(r"^\W{0,4}?(?:A|Ans|Answer|답|답변|정답|해답|모범 ?답안|해설|풀이)\s*\d{0,5}(?:\*\*|__)?\s*[:：]", re.IGNORECASE)
_BARE_Q = re.compile(r"^\W{0,4}?(?:Q|Question|문|질문|문제|문항)\s*[.\-#]?\s*\d{0,5}\W*$", re.IGNORECASE)
_NUMBER = re.compile(r"^\(?(\d{1,5})\s?(?:[.)．]|번[.)]?|\))\s+(?=\S)|^(\d{1,3})[.)](?=[^\W\d])|^([①-⑳])\s*(?=\S)")
_FURNITURE_HEADING = re.compile(
    r"^(?:table of contents|contents|toc|references?|bibliography|licen[cs]e|contribut(?:ing|ors|ions)|acknowledge?ments?|see also|"
    r"related (?:posts?|articles?|links?)|further reading|resources|links|changelog|목차|차례|참고|참고 ?(?:자료|문헌|사이트|링크)|출처|관련 ?(?:글|링크)|"
    r"라이선스|저작권|기여 ?방법|기여|감사의 ?말|감사의 ?글|링크)$",
    re.IGNORECASE,
)
_PLATFORM = re.compile(
    r"^(?:반응형|광고|공유하기|게시글 관리|구독하기|신고하기|목록|목록으로|이전 ?글|다음 ?글|맨 ?위로|공감|좋아요|댓글(?: ?달기)?|advertisement|share|like|"
    r"comments?|reply|끝|the end|end|fin|eof)\s*\d*\s*[.!]*$",
    re.IGNORECASE,
)
_FOLD_OF_ANSWER = re.compile(
    r"^(?:(?:show|see|view|reveal|click(?: here)?(?: (?:to|for))?|open|expand|the|my|model|sample|view the|show the|see the|see|toggle)\s*)*"
    r"(?:answers?|solutions?|ans|show|reveal|hint|more|details|click|expand|toggle|explanation)?(?:\s*(?:here|below|\d+))?$"
    r"|^(?:클릭|눌러서?|여기를?|모범)?\s*(?:답|답변|정답|해답|답안|모범 ?답안|해설|풀이|설명|보기|펼치기|접기|더 ?보기|열기|클릭)?\s*(?:을|를)?\s*"
    r"(?:보기|확인|확인하기|펼치기|펼쳐 ?보기|접기|열기|보려면 클릭|클릭|눌러 ?보기)?(?:하세요)?$",
    re.IGNORECASE,
)


def bare(text: str) -> str:
    """``text`` without Markdown's dress, emoji at its start and brackets at its end."""
    text = text[:_LOOKED_AT]
    text = re.sub(r"^[^\w\s\[(（<$\\\"'“‘]+\s*", "", text.strip(_DRESS)).strip(_DRESS)
    cut = _TRAILING_BRACKETS.sub("", text).strip(_DRESS)
    return cut or text


def question_sign(text: str) -> Sign:
    """How much ``text``, one line, reads as a question."""
    text = text.strip()
    if not text or len(text) > _LOOKED_AT:
        return Sign.none
    words = bare(text)
    if re.search(r"[?？]$", words) or re.search(r"[?？][)\]\"'”’*_\s]*$", text):
        return Sign.strong
    stem = words.rstrip(" .。!~…\"'”’*_)")
    if _KOREAN_REQUEST.search(stem) or _KOREAN_INTERROGATIVE.search(stem):
        return Sign.strong
    if _ENGLISH_REQUEST.match(words):
        return Sign.strong
    if _ENGLISH_WH.match(words) and not words.endswith("."):
        return Sign.weak if _ENGLISH_WEAK_WH.match(words) else Sign.strong
    if _KOREAN_NOUN.search(stem) or (_ENGLISH_NOUN.search(words) and not words.endswith(".")):
        return Sign.weak
    return Sign.none


def question_mark(text: str) -> str | None:
    """The rest of ``text`` after a mark such as ``Q1.``, ``질문:`` or ``문3)``; None where there is none."""
    found = _Q.match(text[:_MARK])
    return text[found.end() :] if found else None


def is_bare_question_mark(text: str) -> bool:
    """Whether ``text`` is a mark like ``Q3.`` and nothing else."""
    return len(text) <= _MARK and bool(_BARE_Q.match(text)) and bool(re.search(r"\w", text))


def answer_mark(text: str, *, colon_only: bool = False) -> str | None:
    """The rest of ``text`` after a mark such as ``A:``, ``답)``; ``colon_only`` where ``A.`` may be the first of several choices."""
    if colon_only and not _A_COLON.match(text[:_MARK]):
        return None
    found = _A.match(text[:_MARK])
    return text[found.end() :] if found else None


def number_mark(text: str) -> tuple[int, str] | None:
    """The number before ``text`` (``3.``, ``3)``, ``3번``, ``③``) and the rest."""
    found = _NUMBER.match(text[:_MARK])
    if not found:
        return None
    number, tight, circled = found.groups()
    return int(number or tight or ord(circled) - ord("①") + 1), text[found.end() :]


def question_and_rest(text: str) -> tuple[str, str]:
    """``What is X? It is …`` as question and answer; the second is empty where the line is all question."""
    if len(text) > 20 * _LOOKED_AT:
        return text, ""
    found = re.match(r"(.{4,300}?[?？])[\"'”’)*_]*\s+(?=\S)(.*)$", text, re.DOTALL)
    if not found or found.group(1).count("(") != found.group(1).count(")"):
        return text, ""
    question, rest = text[: found.start(2)].rstrip(), found.group(2)
    if re.search(r"[?？]", rest) or len(rest.split()) < 2 or re.fullmatch(r"[(（\[].*[)）\]]", rest):
        return text, ""
    return question, rest


def is_furniture_heading(text: str) -> bool:
    """Contents, references, licence: headings of a page, not questions of a list."""
    return bool(_FURNITURE_HEADING.match(bare(text)))


def is_platform_line(text: str) -> bool:
    """What blog platforms and authors print around a post: share buttons, the word for advertisement, "the end"."""
    return len(text) <= _LOOKED_AT and bool(_PLATFORM.match(text.strip()))


def is_fold_of_answer(summary: str) -> bool:
    """Whether a fold's summary only says that the answer is behind it ("Show answer", "정답 보기")."""
    return bool(_FOLD_OF_ANSWER.match(bare(summary).rstrip(" .!:>▼▶👉")))
