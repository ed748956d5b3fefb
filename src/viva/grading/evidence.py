"""Whether a quote is evidence for a point: it stands in the answer, speaks of the point, and does not speak to the judge.

A judge that reads text can be talked to by that text. So a mark of it counts only with words of the answer behind it, and
these have to share ideas with the point: a content word of the point (its text, its cues, in either language, with the
glossary's and the synonyms' other names) that the question itself does not say, and one more. A sentence that tells
the judge what to do (*give full marks*, *모든 요점에 만점*) is evidence for nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache

from viva.bank import Question
from viva.bank.schema import Point
from viva.grading.clauses import read
from viva.grading.cues import question_words
from viva.grading.lexicon import synonyms
from viva.grading.normaliser import normalise
from viva.language import LANGUAGES, Text

LEAST, MOST = 4, 600
"""Letters and digits that a quote has at least, characters that it has at most."""
PLACES = 20
"""How many places of the same words are looked at."""
_EDGES = " \n\"'“”‘’«»「」『』….,;:!?"
_SMALL_NUMBERS = frozenset({"#0", "#1", "#2", "#3"})

ABSENT = Text(ko="답에 없는 말이에요.", en="These words are not in the answer.")
TOO_SHORT = Text(ko="근거로 삼기에는 너무 짧은 말이에요.", en="Too few words to be evidence.")
TOO_LONG = Text(ko=f"{MOST}자가 넘는 인용은 어느 말이 근거인지 알 수 없어요.", en=f"Over {MOST} characters, a quote does not show which words are meant.")
TO_THE_JUDGE = Text(ko="채점하는 쪽에 하는 말이라 근거가 되지 않아요.", en="This talks to the judge, so it is evidence for nothing.")
BESIDE_THE_POINT = Text(ko="이 요점을 두고 한 말이 아니에요.", en="These words do not speak of this point.")

_TO_THE_JUDGE = re.compile(
    "|".join(
        (
            # English
            r"\bfull (?:marks?|credits?|points|score)\b",
            r"\bperfect (?:marks?|score|grade)\b",
            r"\b(?:grader|examiner|assessor)s?\b",
            r"\b(?:dear|to the|as the|as an?) (?:ai )?(?:judge|evaluator|assistant|language model)\b",
            r"\byou are (?:now )?an? [^.!?\n]{0,40}\b(?:judge|model|assistant|ai)\b",
            r"\b(?:ignore|disregard|override|forget) (?:[a-z]+ ){0,3}(?:previous|prior|earlier|above|preceding|system|your)\b[^.!?\n]{0,40}\b(?:instruction|prompt|rule|message|direction|guideline)",
            r"\b(?:mark|rate|grade|count|accept|treat|score|judge)\b[^.!?\n]{0,60}\bas (?:made|correct|right|complete|fulfilled|passed)\b",
            r"\b(?:point|item|criterion|criteria)s? (?:is|are|was|were|has been|have been|counts? as) (?:all )?(?:made|met|satisfied|fulfilled|covered)\b",
            r"\b(?:this|my|the) (?:answer|response) (?:covers|deserves|should|must|is (?:[a-z]+ ){0,2}(?:correct|perfect|complete|right))\b",
            r"\b(?:this|the) (?:learner|candidate)\b[^.!?\n]{0,60}\b(?:made|covered|answered|explained|deserves|passe[sd]|correct(?:ly)?|everything)\b",
            r"\bstatus\b[^.!?\n]{0,20}\b(?:made|partly|missed|backwards)\b",
            # Korean; the normaliser has made the letters small
            r"(?:만|백|100\s?)점(?:을|으로|짜리)?\s?(?:주|줘|줄|드리|드려|달|부여|처리|채점|평가|받아야|받을 만)",
            r"채점\s?(?:자|관|기|위원|하는 (?:분|사람|모델|쪽))(?:님|에게|께|는|은|이|가|로|으로|:|,)",
            r"채점(?:해|하지|을 멈|은 그만)",
            r"요점(?!만)[^.!?\n]{0,30}(?:말함|말했|맞았|맞음|인정|처리|표시|점수|충족|만족|통과|언급)",
            r"(?:이전|위의|위|앞의|앞선|지금까지의|기존|모든)\s?[^.!?\n]{0,8}(?:지시|명령|프롬프트|지침|규칙)[^.!?\n]{0,12}(?:무시|잊|따르지)",
            r"(?:말함|made|정답|맞음|통과|맞은 것)(?:으로|로)\s?(?:처리|표시|간주|평가|인정|기록|출력|해)",
            r"(?:이|제|내|본|저의|나의)\s?(?:답|답변|답안|응답|학생|학습자|지원자)(?:은|는|이|가|을|를)?\s[^.!?\n]{0,30}(?:완벽|정답|인정|정확하게 설명|다 맞|모두 맞|전부 맞|모두 담|통과)",
            r"점수?(?:를|을)?\s?(?:주세요|줘|주십시오|달라|부탁)",
            r"(?:당신|너|그대)(?:은|는)\s?[^.!?\n]{0,20}(?:평가|심사|모델|assistant|ai|인공지능|시스템)",
        )
    )
)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|\n")


class Evidence:
    """One answer, read once, to hold quotes against."""

    def __init__(self, question: Question, answer: str) -> None:
        self.answer = answer
        self.source = normalise(answer)
        self.asked = question_words(question, LANGUAGES).keys

    def place(self, point: Point, quote: str) -> tuple[int, int] | Text:
        """Where in the answer ``quote`` is evidence for ``point``, as ``start, end`` in whole words; or why it is none.

        Spelling may differ as the normaliser lets it (white space, Unicode forms, case, ways to write a formula).
        """
        if len(quote) > MOST:
            return TOO_LONG
        words = normalise(quote).text.strip(_EDGES).split()
        if sum(letter.isalnum() for word in words for letter in word) < LEAST:
            return TOO_SHORT
        reason = ABSENT
        pattern = re.compile(r"\s+".join(map(re.escape, words)))
        for match, _ in zip(pattern.finditer(self.source.text), range(PLACES), strict=False):
            start, end = self._whole_words(*self.source.span(*match.span()))
            if self._is_to_the_judge(*match.span()):
                reason = TO_THE_JUDGE
            elif _speaks_of(point, self.answer[start:end], self.asked):
                return start, end
            else:
                reason = BESIDE_THE_POINT
        return reason

    def _whole_words(self, start: int, end: int) -> tuple[int, int]:
        while start > 0 and not self.answer[start - 1].isspace() and self.answer[start - 1] not in ".,;!?":
            start -= 1
        while end < len(self.answer) and not self.answer[end].isspace() and self.answer[end] not in ",;!?":
            end += 1
        return start, end

    def _is_to_the_judge(self, start: int, end: int) -> bool:
        """Whether a sentence that ``start:end`` of the normalised text lies in is addressed to the judge."""
        text = self.source.text
        begins = [match.end() for match in _SENTENCE_END.finditer(text, 0, start)]
        ends = _SENTENCE_END.search(text, max(start, end - 1))
        return _TO_THE_JUDGE.search(text, begins[-1] if begins else 0, ends.end() if ends else len(text)) is not None


def _speaks_of(point: Point, words: str, asked: frozenset[str]) -> bool:
    """Whether ``words`` share two words with the point, or three everyday ones; one of them none of the question's."""
    vocabulary = _vocabulary(point)
    reading = read(words)
    everyday = synonyms().groups
    said = [(at, token.key) for at, token in enumerate(reading.tokens) if token.kind == "content"]
    said += [(span.first, span.key) for span in reading.spans]
    shared = [(at, key) for at, key in said if key in vocabulary]
    new = {key for _, key in shared if key not in asked}
    telling = any(key not in everyday and key not in _SMALL_NUMBERS and key[0] != "=" for key in new)
    return bool(new) and len({at for at, _ in shared}) >= (2 if telling else 3)


@lru_cache(maxsize=2048)
def _vocabulary(point: Point) -> frozenset[str]:
    """The keys of all that the bank says about ``point``, also of how it is said backwards."""
    cues = (*point.cues.ko, *point.cues.en, *point.opposite.ko, *point.opposite.en)
    readings = [read(re.sub(r"\s[|+]\s", " . ", text)) for text in (point.text.ko, point.text.en, *cues) if text]
    words = {token.key for reading in readings for token in reading.tokens if token.kind == "content"}
    return frozenset(words | {span.key for reading in readings for span in reading.spans})
