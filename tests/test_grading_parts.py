"""The parts of the grader on their own: normaliser, morphology, lexicon, clauses, cues, copying."""

from __future__ import annotations

import pytest
import yaml
from test_grading import QUESTION

from viva.grading.clauses import read
from viva.grading.copying import is_copy
from viva.grading.cues import Asked, compile_cue, compile_wording
from viva.grading.lexicon import SYNONYMS_FILE
from viva.grading.matcher import Matching, best_windows
from viva.grading.morphology import number_key, stem
from viva.grading.normaliser import normalise


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("σ(1−σ)", r"$\sigma(1-\sigma)$"), ("sigma(x)(1 - sigma(x))", "σ(1-σ)"), ("QKᵀ/√d_k", r"\frac{QK^\top}{\sqrt{d_k}}"),
        ("Q K^T / sqrt(d_k)", "QKᵀ/√d_k"), ("softmax( Q·K^T )", "softmax(QK^T)"), ("ŷ − y", r"\hat{y} - y"), ("10⁻²⁵", "10^{-25}"), ("x²", "x**2"),
        ("w ← w − η∇L", "w<-w-eta∇L"), ("∂L/∂w", "dL/dw"), ("Var(w) = 2/n", r"\mathrm{Var}(w)=2/n"), ("1/(1+exp(-x))", "1/(1+e^-x)"), ("½", "1/2"),
        ("４분의 １", "1/4"), ("β₁", "beta_1"), ("𝜎", "σ"), ("a ≤ b", "a <= b"), ("에타", "η"),
    ],
)  # fmt: skip
def test_spellings_of_one_formula_are_one(one: str, other: str) -> None:
    assert normalise(one).squeezed[0] == normalise(other).squeezed[0]


def test_a_span_of_the_normalised_text_leads_back_to_the_original() -> None:
    text = r"기울기는 $\frac{1}{4}$ 이하"
    source = normalise(text)
    at = source.text.index("1/4")
    start, end = source.span(at, at + 3)
    assert text[start:end] == r"\frac{1}{4}"


@pytest.mark.parametrize(("form", "key"), [("1/4", "#1/4"), ("0.25", "#1/4"), ("25%", "#1/4"), ("1,000", "#1000"), ("0.50", "#1/2"), ("1/0", "#1/0")])
def test_numbers_are_compared_by_value(form: str, key: str) -> None:
    assert number_key(form) == key


@pytest.mark.parametrize(
    "family",
    [
        "saturate saturates saturated saturating saturation", "initialise initialisation initialize initialization initialised", "vanish vanishes vanishing",
        "normalise normalises normalization normalised", "decrease decreases decreasing", "layer layers", "multiply multiplies multiplication multiplied",
        "minimum minima", "dense density", "sparse sparsity",
    ],
)  # fmt: skip
def test_a_family_of_english_words_has_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


def test_different_english_words_keep_different_stems() -> None:
    for one, other in [("bias", "biology"), ("loss", "losing"), ("class", "clash"), ("batch", "bath"), ("update", "upset"), ("weight", "weigh")]:
        assert stem(one) != stem(other)


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("기울기가 줄지 않습니다", {"줄"}), ("학습이 안 됩니다", {"학습"}), ("안 줄어요", {"줄"}), ("정답이 없습니다", {"정답"}), ("그것은 ReLU가 아닙니다", {"relu"}),
        ("정답이 없으면 배우지 못합니다", {"배우"}), ("기울기뿐만 아니라 값도 봅니다", set()), ("줄일 수밖에 없습니다", set()),
        ("it does not shrink", {"shrink"}), ("it never really shrinks", {"shrink"}), ("not only the slope", set()), ("no more than a quarter", set()),
        ("without labels", {"label"}), ("it does not make the data Gaussian", {"data", "gaussian"}),
    ],
)  # fmt: skip
def test_a_negation_denies_its_own_word_only(text: str, denied: set[str]) -> None:
    reading = read(text)
    assert {reading.tokens[at].key for at in reading.denied if reading.tokens[at].kind == "content"} == denied


def test_a_contrast_ends_a_segment_and_a_reason_does_not() -> None:
    def segments(text: str) -> int:
        return len(set(read(text).segment))

    assert segments("시그모이드는 포화되지만 ReLU는 유지됩니다") == 2
    assert segments("입력이 커서 기울기가 작아집니다") == 1
    assert segments("sigmoids saturate whereas ReLU does not") == 2
    assert segments("it saturates because the input is large") == 1


def test_speech_without_full_stops_is_still_cut_into_sentences() -> None:
    assert len(set(read("학습률이 크면 발산해요 그리고 작으면 느려요 그래서 적당히 골라요").sentence)) == 3
    assert len(set(read("word and another thing " * 100).sentence)) > 3


def test_operators_of_a_cue_need_their_spaces() -> None:
    assert len(compile_cue("p(h|v) + a+b | c", "wide").ideas) == 2  # type: ignore[union-attr]
    assert compile_cue("   ", "wide") is None


@pytest.mark.parametrize(("stemlike", "said"), [("가까", "0에 가까워집니다"), ("작", "값이 작은"), ("줄지 않", "줄어들지 않아요"), ("크", "입력이 커지면 크게")])
def test_bare_korean_stems_in_cues_meet_their_inflections(stemlike: str, said: str) -> None:
    cue = compile_cue(f"{stemlike} | 없는말", "wide")
    assert cue is not None
    windows = best_windows(Matching(read(said), Asked(frozenset(), "")), cue)
    assert any(window.straight == 1 for window in windows)


def test_a_one_syllable_stem_is_not_found_inside_another_word() -> None:
    cue = compile_cue("작 | 싸", "wide")
    assert cue is not None
    assert best_windows(Matching(read("시작하는 동작을 감싸는 작업입니다"), Asked(frozenset(), "")), cue) == []


def test_strict_wordings_keep_order_and_small_words() -> None:
    def said(wording: str, text: str) -> bool:
        cue = compile_cue(f"{wording} | 없는말", "strict")
        assert cue is not None
        return any(window.straight for window in best_windows(Matching(read(text), Asked(frozenset(), "")), cue, one_segment=True))

    assert said("machine learning is a subset of deep learning", "Machine learning is a subset of deep learning.")
    assert not said("machine learning is a subset of deep learning", "Deep learning is a subset of machine learning.")
    assert said("생성만", "GPT는 생성만 합니다") and not said("생성만", "GPT는 생성에 강합니다")
    assert said("Q는 인코더", "Q는 인코더에서 옵니다") and not said("Q는 인코더", "Q는 디코더에서, K는 인코더에서 옵니다")


def test_synonym_groups_are_well_formed_and_their_opposites_exist() -> None:
    data = yaml.safe_load(SYNONYMS_FILE.read_text(encoding="utf-8"))
    for name, entry in data.items():
        assert set(entry) <= {"words", "not"}, name
        assert len(entry["words"]) >= 2, name
        assert all(isinstance(word, str) and word for word in entry["words"]), name
        if "not" in entry:
            assert data[entry["not"]].get("not") == name


def test_compiling_a_wording_twice_gives_the_same_object() -> None:
    assert compile_wording("도함수", "wide") is compile_wording("도함수", "wide")


def test_a_short_quotation_of_the_model_answer_is_no_copy_and_a_long_one_is() -> None:
    assert QUESTION.answer is not None and QUESTION.answer.ko is not None
    assert not is_copy(QUESTION, QUESTION.answer.ko[:40])
    assert is_copy(QUESTION, QUESTION.answer.ko)
    assert is_copy(QUESTION, QUESTION.answer.ko.replace("신호가", "신호는", 1))
    assert not is_copy(QUESTION, "시그모이드는 미분값이 커 봐야 사분의 일이라서 깊은 망에서는 앞쪽 층이 거의 배우지 못합니다. ReLU를 쓰면 그 문제가 덜하고 계산도 가벼워집니다.")
