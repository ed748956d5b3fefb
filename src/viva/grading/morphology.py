"""Words: an answer as a row of tokens.

Hangul is cut by Kiwi (loaded once, on the first Korean text, behind a lock); Latin words get a light stem; numbers
become values (``1/4``, ``0.25`` and ``25%`` are one key). Particles, endings and English function words are kept as
*glue*: they carry no idea, but their absence gives away a list of nouns.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal

Kind = Literal["content", "glue", "negation", "relation", "break"]

_lock = threading.Lock()
_kiwi: Any = None


def kiwi() -> Any:
    """The one Kiwi of the process. The lists of people's and products' names are left out: they cost two seconds."""
    global _kiwi
    if _kiwi is None:
        with _lock:
            if _kiwi is None:
                from kiwipiepy import Kiwi

                loaded = Kiwi(num_workers=1, load_default_dict=False, load_typo_dict=False, load_multi_dict=False)
                loaded.tokenize("준비")
                _kiwi = loaded
    return _kiwi


@dataclass(frozen=True, slots=True)
class Token:
    """``key`` is what is compared; ``start:end`` counts in the normalised text; ``tag`` is Kiwi's, or ``L`` (``LR`` for ``-ly``), ``N``, ``S``."""

    key: str
    kind: Kind
    tag: str
    start: int
    end: int


def words(line: str) -> frozenset[str]:
    """The words of ``line``, as a set to look up in."""
    return frozenset(line.split())


_WORDS = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)*(?:/\d+(?:\.\d+)?(?![\d.]*[a-z]))?%?)"
    r"|(?P<latin>[a-zα-ωà-ÿ][a-z0-9α-ωà-ÿ]*(?:_[a-z0-9]+)*(?:'(?:s|t|re|ve|ll|d|m)\b)?)"
    r"|(?P<relation>[=→←≤≥<>≈∝≠:]+)"
    r"|(?P<stop>[.!?;\n]+|,)"
)
_HANGUL = re.compile(r"[가-힣]")

_GLUE_EN = words(
    "a an the of to in on at by for from with as is are was were be been being am it its it's this that these those "
    "and or so if then than there their they them we our you your i do does did have has had having "
    "will would can could may might must should shall which who what when where how also just very into onto over "
    "such each both some any more most less least only own same too about because while but whereas since though although "
    "however therefore thus hence between through per via up out off that's there's let's us me my one's i.e e.g etc "
    "get gets got make makes made use uses used using let lets become becomes"
)
_NEGATION_EN = words("not no never without cannot neither nor none nothing hardly barely")
_STOP_KO = words(
    "것 경우 하 되 있 이 그 저 이런 그런 어떤 대하 위하 통하 우리 즉 그리고 또 또는 및 "
    "왜냐하면 좀 매우 아주 너무 정말 더 가장 그래서 따라서 그러면 그러므로 하지만 그러나 그런데 반면 보 주 나 제 내 우선 먼저 "
    "여기 거기 이것 그것 이렇 그렇 어떻 말하 부르 때문 이유 사용 쓰 이용 정도"
)
_BOUND_KO = words("것 거 수 때 등 데 줄 뿐 바 중 점 쪽 씩 채 대로 만큼 때문")  # bound nouns (NNB); 줄 is also a verb
_NEGATION_KO = {("않", "VX"), ("않", "VV"), ("못하", "VX"), ("못", "MAG"), ("안", "MAG"), ("없", "VA"), ("없이", "MAG"), ("아니", "VCN"), ("말", "VX"), ("없애", "VV")}
_PREDICATES_KO = ("VV", "VA", "VCP", "VCN", "XSV", "XSA", "VX")


def tokenise(text: str) -> tuple[Token, ...]:
    """The tokens of a *normalised* text, in order."""
    tokens = [_word(match) for match in _WORDS.finditer(text)]
    if _HANGUL.search(text):
        tokens += _korean(text)
        tokens.sort(key=lambda token: (token.start, token.end))
    return tuple(tokens)


def has_hangul(text: str) -> bool:
    return _HANGUL.search(text) is not None


def is_predicate(token: Token) -> bool:
    """A Korean verb, adjective, copula or verbal suffix."""
    return token.tag.startswith(_PREDICATES_KO)


def _word(match: re.Match[str]) -> Token:
    form, (start, end) = match[0], match.span()
    if match["number"]:
        return Token(number_key(form), "content", "N", start, end)
    if match["relation"]:
        return Token(form, "relation", "S", start, end)
    if match["stop"]:
        return Token(form[0], "break", "S", start, end)
    if form in _NEGATION_EN or form.endswith("n't"):
        return Token("NEG", "negation", "L", start, end)
    plain = form.split("'")[0].replace("_", "")
    if form in _GLUE_EN or plain in _GLUE_EN:
        return Token(plain, "glue", "L", start, end)
    return Token(stem(plain), "content", "LR" if plain.endswith("ly") and len(plain) > 4 else "L", start, end)


def number_key(form: str) -> str:
    """``#`` and the value: ``1/4``, ``0.25``, ``25%`` give ``#1/4``."""
    bare = form.rstrip("%").replace(",", "") if re.fullmatch(r"\d{1,3}(?:,\d{3})+%?", form) else form.rstrip("%")
    bare = bare.replace(",", ".")
    top, _, bottom = bare.partition("/")
    if len(bare) > 24 or top.count(".") > 1:
        return "#" + bare
    try:
        value = Fraction(top) / Fraction(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return "#" + bare
    return f"#{value / 100 if form.endswith('%') else value}"


def _korean(text: str) -> list[Token]:
    tokens: list[Token] = []
    for word in kiwi().tokenize(text):
        form, tag, start = word.form, word.tag, word.start
        end = start + word.len
        if tag[0] in "SW" or not _HANGUL.search(text[start:end] or form):
            continue
        tag = tag.split("-")[0]
        if (form, tag) in _NEGATION_KO:
            kind: Kind = "negation"
        elif tag[0] in "JE" or tag in ("XSV", "XSA", "XSM", "VCP", "VX", "XPN", "MAJ", "IC") or form in _STOP_KO or (tag in ("NNB", "NNG") and form in _BOUND_KO):
            kind = "glue"
        else:
            kind = "content"
        tokens.append(Token(form, kind, tag, start, end))
    return tokens


_ENDINGS = (
    ("izations", "iz"), ("ization", "iz"), ("isations", "iz"), ("isation", "iz"), ("izing", "iz"), ("ising", "iz"), ("izer", "iz"),
    ("iser", "iz"), ("ized", "iz"), ("ised", "iz"), ("izes", "iz"), ("ises", "iz"), ("ize", "iz"), ("ise", "iz"),
    ("ations", "at"), ("ation", "at"), ("ating", "at"), ("ated", "at"), ("ates", "at"), ("ate", "at"),
    ("ications", "i"), ("ively", "iv"), ("ive", "iv"), ("ness", ""), ("ments", "ment"), ("ically", "ic"), ("ically", "ic"), ("ally", "al"),
    ("ilities", "il"), ("ility", "il"), ("ities", ""), ("ity", ""), ("ies", "i"), ("ied", "i"), ("ying", "i"), ("ously", "ous"),
    ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"), ("ingly", ""), ("edly", ""), ("ings", ""), ("ing", ""), ("ed", ""),
    ("ions", ""), ("ion", ""), ("ly", ""), ("es", ""), ("s", ""), ("e", ""), ("y", "i"),
)  # fmt: skip
_WHOLE = {
    "loss": "loss", "losses": "loss", "lost": "los", "lose": "los", "loses": "los", "bias": "bias", "biases": "bias", "class": "class",
    "classes": "class", "gradient": "gradient", "minima": "minim", "minimum": "minim", "maxima": "maxim", "maximum": "maxim",
    "matrices": "matrix", "indices": "index", "vertices": "vertex", "series": "series", "analysis": "analys", "axis": "axis", "axes": "axis",
    "less": "less", "gives": "giv", "given": "giv", "gave": "giv", "taken": "tak", "took": "tak", "kept": "keep", "fed": "feed",
    "grew": "grow", "grown": "grow", "fell": "fall", "fallen": "fall", "rose": "ris", "risen": "ris", "rise": "ris", "rises": "ris", "rising": "ris",
    "learnt": "learn", "seen": "see", "saw": "see", "shrunk": "shrink", "shrank": "shrink", "chosen": "choos", "chose": "choos",
    "data": "data", "datum": "data", "noise": "nois", "noisy": "nois", "precise": "precis", "otherwise": "otherwis", "size": "size",
    "sizes": "size", "sized": "size", "rate": "rate", "rates": "rate", "gate": "gate", "gates": "gate", "gated": "gate", "state": "state",
    "states": "state", "date": "date", "image": "imag", "images": "imag", "wise": "wis", "raise": "rais", "raises": "rais", "raising": "rais", "raised": "rais",
    "unit": "unit", "units": "unit", "city": "city", "density": "dens", "dense": "dens", "sparse": "spars", "sparsity": "spars", "need": "need",
    "speed": "speed", "feed": "feed", "embed": "emb", "seed": "seed", "thing": "thing", "string": "string", "bring": "bring", "during": "during",
    "string's": "string", "region": "region", "million": "million", "billion": "billion", "union": "union", "vision": "vision", "fusion": "fusion",
    "precision": "precision", "recursion": "recursion", "dimension": "dimension", "dimensions": "dimension", "dimensional": "dimension",
    "ping": "ping", "king": "king", "ring": "ring", "batch": "batch", "batches": "batch", "sign": "sign", "multiply": "multipl",
    "multiplies": "multipl", "multiplied": "multipl", "multiplying": "multipl", "multiplication": "multipl", "multiplicative": "multipl", "multiple": "multiple",
}  # fmt: skip


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """A light stem: plural, tense, ``-ise``/``-ize``, ``-ation``, ``-ly``; at least three letters stay."""
    if word in _WHOLE:
        return _WHOLE[word]
    if len(word) <= 3 or not word.isalpha():
        return word[:-1] if len(word) == 3 and word.endswith("s") and word[1] not in "aeious" else word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            if ending == "s" and word[-2] in "su":
                continue
            base = word[: -len(ending)] + instead
            if ending in ("ing", "ed", "ings") and len(base) > 3 and base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            return base[:-1] if base.endswith("e") and len(base) > 3 else base
    return word
