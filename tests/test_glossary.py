"""The glossary: one term under all its names, found whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from viva.bank.glossary import Glossary, Term, glossary, read_glossary
from viva.bank.loader import load_bank

GLOSSARY = glossary()


def found(text: str) -> set[str]:
    return {hit.term for hit in GLOSSARY.find(text)}


@pytest.mark.parametrize(
    ("name", "term"),
    [
        ("시그모이드", "sigmoid"), ("Sigmoid", "sigmoid"), ("씨그모이드", "sigmoid"), ("기울기 소실", "vanishing-gradient"),
        ("기울기소실", "vanishing-gradient"), ("그래디언트 배니싱", "vanishing-gradient"), ("vanishing gradients", "vanishing-gradient"),
        ("렐루", "relu"), ("RELU", "relu"), ("러닝레이트", "learning-rate"), ("learning-rate", "learning-rate"), ("lr", "learning-rate"),
        ("backprop", "backpropagation"), ("back-propagation", "backpropagation"), ("오버피팅", "overfitting"), ("과대적합", "overfitting"),
        ("BatchNorm", "batch-normalization"), ("batch norms", "batch-normalization"), ("BN", "batch-normalization"),
        ("LN", "layer-normalization"), ("GD", "gradient-descent"), ("어텐션", "attention"), ("Faster R-CNN", "faster-rcnn"),
        ("1×1 convolution", "pointwise-convolution"), ("1x1 합성곱", "pointwise-convolution"), ("K-means", "k-means"), ("local minima", "local-minimum"),
    ],
)  # fmt: skip
def test_every_spelling_leads_to_its_term(name: str, term: str) -> None:
    canonical = GLOSSARY.canonical(name)
    assert canonical is not None and canonical.id == term


@pytest.mark.parametrize("text", ["abnormal", "CABN", "GDP", "ball", "DBNs are not it", "B N", "slnt", "madam"])
def test_short_forms_are_never_found_inside_other_words(text: str) -> None:
    assert not found(text) & {"batch-normalization", "layer-normalization", "gradient-descent", "autoencoder", "adam"}


@pytest.mark.parametrize("text", ["BN을 씁니다", "(BN)", "BN,LN", "BN/LN", "BNs"])
def test_short_forms_are_found_beside_particles_and_marks(text: str) -> None:
    assert "batch-normalization" in found(text)


@pytest.mark.parametrize("text", ["기울기 소실이 생긴다", "기울기소실때문에", "그 기울기\n소실은"])
def test_hangul_names_are_found_with_particles_and_in_any_spacing(text: str) -> None:
    assert "vanishing-gradient" in found(text)


def test_a_two_syllable_name_is_not_found_in_the_middle_of_a_word() -> None:
    assert "bias-term" in found("편향을 더한다")
    assert "bias-term" not in found("남편향기")


def test_spans_are_exact_and_nested_terms_are_kept_or_left_out_on_request() -> None:
    text = "깊은 망의 기울기 소실 문제"
    spans = {(text[hit.start : hit.end], hit.term) for hit in GLOSSARY.find(text)}
    assert {("기울기 소실", "vanishing-gradient"), ("기울기", "gradient")} <= spans
    assert [hit.term for hit in GLOSSARY.longest(text)] == ["vanishing-gradient"]


def test_a_query_is_expanded_with_the_other_names_of_its_term() -> None:
    alternatives = GLOSSARY.expand("기울기 소실 해결")
    assert alternatives[0] == "기울기 소실 해결"
    assert "vanishing gradient 해결" in alternatives
    assert GLOSSARY.expand("점심 메뉴") == ("점심 메뉴",)


def test_nothing_is_canonical_about_half_a_name_or_more_than_one() -> None:
    assert GLOSSARY.canonical("기울기 소실 문제") is None
    assert GLOSSARY.canonical("") is None


def test_there_are_enough_terms_and_definitions_in_both_languages() -> None:
    assert len(GLOSSARY) >= 250
    defined = [term for term in GLOSSARY if term.definition is not None]
    assert len(defined) >= 120
    assert all(term.definition.ko and term.definition.en for term in defined if term.definition)


def test_no_main_name_belongs_to_two_terms() -> None:
    """기울기 is both the gradient and a slope; such words are listed here, and nowhere by accident."""
    shared = {"기울기", "보폭"}
    owners: dict[str, set[str]] = {}
    for term in GLOSSARY:
        for name in term.names:
            owners.setdefault(name.lower().replace(" ", "").replace("-", ""), set()).add(term.id)
    assert {name: ids for name, ids in owners.items() if len(ids) > 1 and name not in shared} == {"slope": {"derivative", "slope"}}


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_question_of_the_bank_speaks_of_known_terms(language: str) -> None:
    bank, _ = load_bank()
    texts = {q.id: f"{q.question.get(language)} {q.answer.get(language) if q.answer else ''}" for q in bank}  # type: ignore[arg-type]
    assert [name for name, text in texts.items() if len(found(text)) < 3] == []


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_finding_never_fails_and_spans_lie_inside(text: str) -> None:
    for hit in GLOSSARY.find(text):
        assert 0 <= hit.start < hit.end <= len(text)
        assert hit.term in GLOSSARY.terms
    last = 0
    for hit in GLOSSARY.longest(text):
        assert hit.start >= last
        last = hit.end


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(GLOSSARY.terms)), st.sampled_from(["", "은", "를", ", ", ".", "\n"]))
def test_every_name_is_found_as_written(term_id: str, after: str) -> None:
    for name in GLOSSARY.terms[term_id].names:
        if len(name) > 1:
            assert term_id in found(f"그 {name}{after}")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: 1", "list of terms"),
        ("- {id: a, ko: [가나]}", "term 1 \\(a\\): en"),
        ("- {id: a, ko: [], en: [x]}", "at least one name"),
        ("- {id: a, ko: [가나], en: [x]}\n- {id: a, ko: [다라], en: [y]}", "'a' is used twice"),
        ("- [", "not YAML"),
        ("- 3", "not a mapping"),
    ],
)
def test_a_broken_glossary_is_refused_with_the_entry(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "glossary.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        read_glossary(path)


def test_a_glossary_of_ones_own_works_like_the_built_in_one() -> None:
    own = Glossary([Term(id="foo-bar", ko=("푸바",), en=("foo bar",), aka=("FB",))])
    assert [hit.term for hit in own.find("FB 그리고 foo-bars, 푸바는")] == ["foo-bar"] * 3
    assert own.terms["foo-bar"].name("ko") == "푸바"
