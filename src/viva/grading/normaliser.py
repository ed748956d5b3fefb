"""One spelling for one thing, with the way back to the learner's own characters.

Answers arrive as typed: full-width digits, ``¼``, ``x²``, ``\\frac{1}{4}``, ``4분의 1``, zero-width joiners, decomposed
Hangul. :func:`normalise` gives them one lower-case spelling and keeps, for every character of the result, the span
of the original that it came from, so that a quote is always a verbatim slice of what was written.

Two readings are kept: ``text`` (words, spaces kept) and ``squeezed`` (no spaces, brackets or multiplication signs), in
which formulas are compared.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

MAX_CHARACTERS = 20_000
"""Only this much of an answer is read; a spoken minute has about 400 characters."""

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱᵀᵗᵢⱼᴸˡᴴˣ", "0123456789+-()nittijllhx", strict=False))
_SYMBOLS = {
    **dict.fromkeys("−–‐‑‒—﹣－", "-"),
    **dict.fromkeys("⁄∕÷", "/"),
    **dict.fromkeys("×⋅∙*・ㆍ", "·"),
    **dict.fromkeys("′’‘ʹ`´", "'"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("⟶⇒⟹➔➜", "→"),
    **dict.fromkeys("⊤", "t"),
    "≦": "≤", "≧": "≥", "≅": "≈", "≃": "≈", "∑": "σ", "∏": "π", "ϵ": "ε", "ϕ": "φ", "‖": "|", "∥": "|",
    "。": ".", "、": ",", "\u2028": "\n", "\u2029": "\n", "\t": " ", "\u0302": "hat", "\u0303": "tilde",
}  # fmt: skip
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "eta": "η", "theta": "θ",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "varphi": "φ",
    "psi": "ψ", "omega": "ω", "pi": "π", "xi": "ξ",
}  # fmt: skip
_GREEK_KO = {
    "알파": "α", "베타": "β", "감마": "γ", "델타": "δ", "엡실론": "ε", "입실론": "ε", "에타": "η", "세타": "θ", "쎄타": "θ",
    "람다": "λ", "시그마": "σ", "타우": "τ",
}  # fmt: skip
_LATEX = {
    **_GREEK, "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "to": "→", "rightarrow": "→", "leftarrow": "←",
    "gets": "←", "cdot": "·", "times": "·", "sum": "σ", "prod": "π", "partial": "∂", "nabla": "∇",
    "infty": "∞", "approx": "≈", "top": "t", "odot": "⊙", "in": "∈", "prime": "'", "ll": "<<", "gg": ">>", "neq": "≠",
    "ne": "≠", "propto": "∝", "pm": "±", "mid": "|", "ell": "l", "sqrt": "√", "quad": " ", "qquad": " ", "Sigma": "σ",
    "sim": "~", "lvert": "|", "rvert": "|", "lVert": "|", "rVert": "|", "Vert": "|", "dots": "…", "cdots": "…",
}  # fmt: skip
_LATEX_SILENT = re.compile(
    "left|right|[bB]igg?[lr]?|displaystyle|textstyle|(?:no)?limits|math(?:rm|bf|bb|cal|it)|text(?:bf|it|rm)?|operatorname"
    "|boldsymbol|bm|(?:under|over)brace|begin|end"
)


@dataclass(frozen=True)
class Normalised:
    """``text`` and, for each of its characters, the half-open span ``starts[i]:ends[i]`` of the original."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    truncated: bool = False

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's span behind ``text[start:end]``."""
        if start >= end:
            return (0, 0)
        return min(self.starts[start:end]), max(self.ends[start:end])

    @cached_property
    def squeezed(self) -> tuple[str, tuple[int, ...]]:
        """The formula reading and the position in ``text`` of each of its characters."""
        return squeeze(self.text)


class _Mapped:
    """Characters with their origins, rewritten by patterns."""

    def __init__(self, chars: list[str], starts: list[int], ends: list[int]) -> None:
        self.text, self.starts, self.ends = "".join(chars), starts, ends

    def sub(self, pattern: re.Pattern[str], rewrite: Iterable[int | str] | None = None, table: dict[str, str] | None = None) -> None:
        """Each match becomes the pieces of ``rewrite`` (a group number keeps its origins) or ``table[group 1]``."""
        chars: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        at = 0
        pieces = tuple(rewrite) if rewrite is not None else ()

        def keep(a: int, b: int) -> None:
            chars.append(self.text[a:b])
            starts.extend(self.starts[a:b])
            ends.extend(self.ends[a:b])

        for match in pattern.finditer(self.text):
            a, b = match.span()
            if a == b:
                continue
            keep(at, a)
            first, last = min(self.starts[a:b]), max(self.ends[a:b])
            for piece in pieces if table is None else (table.get(match[1], match[1]),):
                if isinstance(piece, int):
                    keep(*match.span(piece))
                else:
                    chars.append(piece)
                    starts.extend([first] * len(piece))
                    ends.extend([last] * len(piece))
            at = b
        if at == 0:
            return
        keep(at, len(self.text))
        self.text, self.starts, self.ends = "".join(chars), starts, ends


_ARG = r"\{([^{}]{0,160})\}"
_SHORT = re.compile(r"\\[dt]?frac\{\s*([0-9a-z]{1,4})\s*\}\{\s*([0-9a-z]{1,4})\s*\}")
_FRAC = re.compile(rf"\\[dt]?frac\s*{_ARG}\s*{_ARG}")
_FRAC_BARE = re.compile(r"\\[dt]?frac\s*([0-9])\s*([0-9])")
_HAT_BRACED = re.compile(rf"\\(?:wide)?hat\s*{_ARG}")
_HAT_BARE = re.compile(r"\\(?:wide)?hat\s*([a-z])")
_STYLED = re.compile(rf"\\(?:mathrm|mathbf|mathbb|mathcal|mathit|text|textbf|operatorname|boldsymbol|bm)\s*{_ARG}")
_ROOT = re.compile(rf"\\sqrt\s*{_ARG}")
_RAISED = re.compile(rf"([\^_])\s*{_ARG}")
_COMMAND = re.compile(r"\\([a-zA-Z]+)")
_LATEX_SPACE = re.compile(r"\\[,;:! ]|\$")
_GREEK_NAME = re.compile(rf"(?<![a-z\\])({'|'.join(sorted(_GREEK, key=len, reverse=True))})(?![a-z])")
_GREEK_KO_NAME = re.compile(rf"(?<![가-힣])({'|'.join(_GREEK_KO)})(?![고락])")
_RATIO_KO = re.compile(r"(\d{1,6})\s?분의\s?(\d{1,6})")
_SMALL_KO = re.compile(r"(사분의\s?일|이분의\s?일)")
_ASCII = re.compile(r"(<=|>=|=>|-->?|->|<-|··|\bsqrt\b|제곱근|루트)")
_ASCII_TO = {"<=": "≤", ">=": "≥", "=>": "→", "->": "→", "-->": "→", "--": "-", "<-": "←", "··": "^", "sqrt": "√", "제곱근": "√", "루트": "√"}
_EXP = re.compile(r"\bexp\s?(?=\()")


def normalise(original: str) -> Normalised:
    """``original`` in one spelling, at most :data:`MAX_CHARACTERS` of it. Never raises on any text."""
    mapped = _Mapped(*_characters(original[:MAX_CHARACTERS]))
    if "\\" in mapped.text or "$" in mapped.text:
        for _ in range(2):
            mapped.sub(_STYLED, (1,))
            mapped.sub(_ROOT, ("√(", 1, ")"))
            mapped.sub(_RAISED, (1, "(", 2, ")"))
            mapped.sub(_SHORT, (1, "/", 2))
            mapped.sub(_FRAC_BARE, (1, "/", 2))
            mapped.sub(_HAT_BRACED, (1, "hat"))
            mapped.sub(_HAT_BARE, (1, "hat"))
            mapped.sub(_FRAC, ("(", 1, ")/(", 2, ")"))
        mapped.sub(_COMMAND, table=_Commands())
        mapped.sub(_LATEX_SPACE, (" ",))
    mapped.sub(_ASCII, table=_ASCII_TO)
    mapped.sub(_EXP, ("e^",))
    mapped.sub(_GREEK_NAME, table=_GREEK)
    mapped.sub(_GREEK_KO_NAME, table=_GREEK_KO)
    mapped.sub(_RATIO_KO, (2, "/", 1))
    mapped.sub(_SMALL_KO, table=_Small())
    return Normalised(mapped.text, mapped.starts, mapped.ends, truncated=len(original) > MAX_CHARACTERS)


class _Commands(dict[str, str]):
    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return "" if _LATEX_SILENT.fullmatch(name) else _LATEX.get(name, f" {name}")


class _Small(dict[str, str]):
    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
        return "1/4" if name.startswith("사") else "1/2"


def _characters(text: str) -> tuple[list[str], list[int], list[int]]:
    """Every cluster (a character with its combining marks) in one composed, lower-case spelling."""
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at, length = 0, len(text)
    raised = False
    while at < length:
        end = at + 1
        while end < length and end - at < 8 and _joins(text[end]):
            end += 1
        ch = text[at]
        if ch in _SUPERSCRIPTS and end == at + 1:
            spelled = ("" if raised else "^") + _SUPERSCRIPTS[ch]
            raised = True
        else:
            raised = False
            spelled = _spell(text[at:end])
        for letter in spelled:
            chars.append(letter)
            starts.append(at)
            ends.append(end)
        at = end
    return chars, starts, ends


def _joins(ch: str) -> bool:
    return ch >= "\u0300" and (unicodedata.combining(ch) != 0 or "\u1160" <= ch <= "\u11ff")


def _spell(cluster: str) -> str:
    if len(cluster) == 1 and cluster < "\x7f":
        if cluster < " ":
            return "\n" if cluster in "\n\r" else " " if cluster == "\t" else ""
        return _SYMBOLS.get(cluster, cluster.lower())
    if len(cluster) == 1 and "가" <= cluster <= "힣":
        return cluster
    pieces: list[str] = []
    composed = unicodedata.normalize("NFKC", cluster)
    if any("\u00c0" <= ch <= "\u024f" for ch in composed):
        composed = unicodedata.normalize("NFD", composed)
    for ch in composed:
        if ch in _SYMBOLS:
            pieces.append(_SYMBOLS[ch])
        elif ch > "\uffff" or unicodedata.category(ch) in ("Cs", "Co", "Cn"):
            pieces.append(" ")
        elif unicodedata.category(ch) in ("Cc", "Cf", "Mn", "Me"):
            continue
        else:
            lower = ch.lower()
            pieces.append(lower if len(lower) == 1 else ch)
    return "".join(pieces)


_DROP = frozenset(" \n(){}[]·_,$")
_ARGUMENT = re.compile(r"(?<=[a-zσφ'])\([xztaui]\)")


def squeeze(text: str) -> tuple[str, tuple[int, ...]]:
    """``text`` as a formula: no spaces, brackets, multiplication signs; ``σ(x)`` is ``σ``, ``∂`` is ``d``."""
    argument = {i for match in _ARGUMENT.finditer(text) for i in range(*match.span())}
    chars: list[str] = []
    places: list[int] = []
    for i, ch in enumerate(text):
        if ch in _DROP or i in argument:
            continue
        chars.append("d" if ch == "∂" else ch)
        places.append(i)
    return "".join(chars), tuple(places)
