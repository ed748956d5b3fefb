"""The entailment model as a second judge, through the real loading code: tiny networks that are made here, by chance or by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from viva.bank import Question, load_bank
from viva.grading import STATUSES
from viva.grading import checkpoint as checkpoints
from viva.grading.checkpoint import Checkpoint, Columns
from viva.grading.entailment import MAX_PAIRS, installed, load, on_disk
from viva.grading.opinion import OpinionError

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'viva[nli]'")
transformers = pytest.importorskip("transformers", reason="transformers is not installed: pip install 'viva[nli]'")

BANK, _ = load_bank()
ORDERS = (("entailment", "neutral", "contradiction"), ("CONTRADICTION", "Neutral", "ENTAILMENT"), ("contradiction", "entailment", "neutral"))
YES, HALF, NO = "certainly", "presumably", "never"
"""What the network made by hand reads: these words, in the premise, and nothing else."""
QUESTION = Question.model_validate({
    "id": "sigmoid",
    "topic": "activations",
    "question": {"ko": "시그모이드의 단점은?", "en": "What is wrong with the sigmoid?"},
    "points": [
        {"id": "slope", "text": {"ko": "시그모이드의 도함수는 최대 $\\frac{1}{4}$이다", "en": "The derivative of the sigmoid is at most $\\frac{1}{4}$"}, "cues": {}},
        {"id": "centre", "text": {"ko": "출력의 평균이 0이 아니다", "en": "Its outputs are not centred at zero"}, "cues": {}},
    ],
})  # fmt: skip

Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Any attempt to reach another machine fails, and fails the test even where a library would swallow the error."""
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        tried.append(arguments[:2])
        raise OSError("this test has no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    assert not tried


def trained_tokenizer(lines: Sequence[str]) -> Any:
    """WordPieces as BERT's, trained on ``lines``; the words of :data:`YES` … are whole."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator([*lines, *(f"{YES} {HALF} {NO}" for _ in range(300))], trainers.WordPieceTrainer(vocab_size=6000, special_tokens=special, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", model_max_length=128)


def texts(language: str) -> list[str]:
    return [text for question in BANK for entry in (question, *question.points) for text in [getattr(entry, "question", getattr(entry, "text", None)).get(language)]]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return trained_tokenizer(texts("ko") + texts("en"))


def by_chance(tokenizer: Any, labels: Sequence[str] | None) -> Any:
    named = {"id2label": dict(enumerate(labels)), "label2id": {label: i for i, label in enumerate(labels)}} if labels else {"num_labels": 3}
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=130, initializer_range=0.5, **named
    )
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(config)


def by_hand(tokenizer: Any, labels: Sequence[str]) -> Any:
    """A one-layer BERT that finds three words anywhere in its input.

    Each word has a dimension of its own in the embedding; queries and keys are zero, so [CLS] attends to all tokens alike and
    gets the mean of their embeddings; the pooler saturates wherever the mean is above zero. Logits: entailment -4 + 12 for YES, + 4 for
    HALF (probability 1/2), contradiction -4 + 12 for NO, neutral 0.
    """
    model = by_chance(tokenizer, labels)
    bert, layer = model.bert, model.bert.encoder.layer[0]
    model.bert.encoder.layer = model.bert.encoder.layer[:1]
    model.config.num_hidden_layers = 1
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm" not in name:
                parameter.zero_()
        bert.embeddings.word_embeddings.weight[:, 3:] = torch.tensor([1.0, -1.0] * 14 + [0.0])  # what a LayerNorm divides by
        for at, word in enumerate((YES, HALF, NO)):
            bert.embeddings.word_embeddings.weight[tokenizer.convert_tokens_to_ids(word), at] = 1.0
        layer.attention.self.value.weight.copy_(torch.eye(32))
        layer.attention.output.dense.weight.copy_(torch.eye(32))
        for at in range(3):
            bert.pooler.dense.weight[at, at] = 2000.0
        bert.pooler.dense.bias[:3] = -5.0
        for row, label in enumerate(label.lower() for label in labels):
            if label == "entailment":
                model.classifier.weight[row, :2] = torch.tensor([6.0, 2.0])
                model.classifier.bias[row] = -4.0 + 6.0 + 2.0
            if label == "contradiction":
                model.classifier.weight[row, 2] = 6.0
                model.classifier.bias[row] = -4.0 + 6.0
    return model


@pytest.fixture
def make(tokenizer: Any, tmp_path: Path) -> Make:
    """``make(labels, by=by_hand)``: a checkpoint's folder."""

    def made(labels: Sequence[str] | None = ORDERS[0], by: Callable[..., Any] = by_hand, name: str = "nli", of: Any = None) -> Path:
        folder = tmp_path / name
        by(of or tokenizer, labels).save_pretrained(folder)
        (of or tokenizer).save_pretrained(folder)
        return folder

    return made


def edit(folder: Path, **values: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **values}))


def statuses(folder: Path, answer: str, language: str = "en", **options: Any) -> dict[str, str]:
    opinion = load(str(folder), **options).judge(QUESTION, answer, language)
    return {mark.id: mark.status for mark in opinion.points}


def refusal(name: Path | str, **options: Any) -> OpinionError:
    """The error of loading ``name``; its sentences are one line and in their languages."""
    with pytest.raises(OpinionError) as caught:
        load(str(name), **options)
    for language in ("ko", "en"):
        said = caught.value.sentence(language)
        assert "\n" not in said and any("가" <= letter <= "힣" for letter in said.removeprefix(str(name))) == (language == "ko"), said
    return caught.value


@pytest.mark.parametrize("labels", ORDERS)
def test_a_mark_follows_the_names_of_the_labels_whatever_their_order_and_case(labels: Sequence[str], make: Make) -> None:
    judge = load(str(make(labels)))
    cases = {
        f"The slope of the sigmoid is {YES} small.": "made",
        f"The slope of the sigmoid is {HALF} small.": "partly",
        f"The derivative of the sigmoid is {NO} small.": "backwards",
        "The derivative of the sigmoid is small.": "missed",
    }
    for answer, status in cases.items():
        mark = judge.judge(QUESTION, answer, "en").points[0]
        assert (mark.id, mark.status, mark.quote) == ("slope", status, "" if status == "missed" else answer)


def test_the_probability_is_the_softmax_over_all_labels(make: Make) -> None:
    judge = load(str(make()))
    mark = judge.judge(QUESTION, f"It is {YES} so.", "en").points[0]
    assert mark.confidence == pytest.approx(np.exp(8) / (np.exp(8) + 1 + np.exp(-4)), abs=2e-3) and "100%" in mark.why
    mark = judge.judge(QUESTION, f"It is {HALF} so.", "en").points[0]
    assert mark.confidence == pytest.approx(1 / (2 + np.exp(-4)), abs=2e-3) and "50%" in mark.why


def test_the_quote_is_the_sentence_that_entails_and_nothing_around_it(make: Make) -> None:
    answer = f"  시그모이드는 S자 모양입니다.\n도함수가 {YES} 작습니다!  그래서 깊은 층이 느려요."
    mark = load(str(make())).judge(QUESTION, answer, "ko").points[0]
    assert (mark.status, mark.quote) == ("made", f"도함수가 {YES} 작습니다!")
    assert answer[mark.start : mark.end] == mark.quote


def test_two_neighbours_together_are_quoted_where_neither_is_enough_alone(make: Make) -> None:
    folder = make()
    model = transformers.BertForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():  # YES and HALF each entail nothing; together they do
        model.classifier.weight[0, :2] = torch.tensor([4.0, 4.0])
        model.classifier.bias[0] = -6.0
    model.save_pretrained(folder)
    answer = f"Look at the sigmoid. It is {YES} flat. It is {HALF} slow. That is all."
    mark = load(str(folder)).judge(QUESTION, answer, "en").points[0]
    assert (mark.status, mark.quote) == ("made", f"It is {YES} flat. It is {HALF} slow.")


def test_a_point_that_is_made_somewhere_is_not_backwards_for_a_contradiction_elsewhere(make: Make) -> None:
    answer = f"The derivative of the sigmoid is {NO} small. Honestly, what do I know of such things? The derivative of the sigmoid is {YES} small."
    assert statuses(make(), answer)["slope"] == "made"


def test_a_sentence_that_is_enough_alone_is_quoted_alone(make: Make) -> None:
    mark = load(str(make())).judge(QUESTION, f"It is {YES} flat. It is {HALF} slow.", "en").points[0]  # together they are likelier still
    assert (mark.status, mark.quote) == ("made", f"It is {YES} flat.")


@pytest.mark.parametrize("answer", [f"Transformers are {NO} boring.", f"The sigmoid is {NO} right.", f"시그모이드에 단점은 {NO} 없어요."])
def test_a_contradiction_that_shares_no_word_with_the_point_but_the_questions_accuses_nobody(answer: str, make: Make) -> None:
    folder = make()
    assert statuses(folder, answer) == {"slope": "missed", "centre": "missed"}
    assert statuses(folder, f"{answer[:-1]} 미분")["slope"] == "backwards"  # the same concept in the other language


@pytest.mark.parametrize("language", ["ko", "en"])
def test_of_the_two_languages_of_a_point_the_one_that_is_entailed_counts(language: str, make: Make) -> None:
    point = QUESTION.points[0]
    told = point.text.model_copy(update={language: f"{point.text.get(language)} {YES}"})  # this network reads the hypothesis too
    question = QUESTION.model_copy(update={"points": (point.model_copy(update={"text": told}),)})
    judge = load(str(make()))
    for answer in ("시그모이드는 느려요.", "The sigmoid is slow."):
        assert judge.judge(question, answer, "en").points[0].status == "made"


@pytest.mark.parametrize("labels", [("not_entailment", "entailment"), ("ENTAILMENT", "non-entailment"), ("entailment", "not entailment")])
def test_a_checkpoint_with_two_labels_works_without_backwards(labels: Sequence[str], make: Make) -> None:
    folder = make(labels)
    assert statuses(folder, f"The derivative of the sigmoid is {YES} small.")["slope"] == "made"
    assert statuses(folder, f"The derivative of the sigmoid is {NO} small.")["slope"] == "missed"


def test_a_checkpoint_without_label_names_is_refused_until_they_are_given(make: Make) -> None:
    folder = make()
    edit(folder, id2label={str(i): f"LABEL_{i}" for i in range(3)}, label2id={f"LABEL_{i}": i for i in range(3)})
    assert "--labels entailment,neutral,contradiction" in refusal(folder).sentence("ko")
    assert "LABEL_0, LABEL_1, LABEL_2" in refusal(folder).sentence("en")
    assert statuses(folder, f"Sigmoid: {YES}.", labels=ORDERS[0])["slope"] == "made"
    assert statuses(folder, f"Its derivative is {YES} so.", labels=("contradiction", "neutral", "entailment"))["slope"] == "backwards"
    assert "2" in refusal(folder, labels=("entailment", "not_entailment")).sentence("en")


def test_names_that_stand_in_label2id_alone_count(make: Make) -> None:
    folder = make(ORDERS[2])
    edit(folder, id2label={str(i): f"LABEL_{i}" for i in range(3)})
    assert statuses(folder, f"The sigmoid is {YES} so.")["slope"] == "made"


def test_a_checkpoint_that_was_trained_for_something_else_is_refused(make: Make, tokenizer: Any) -> None:
    assert "POSITIVE" in refusal(make(("NEGATIVE", "POSITIVE"), name="sentiment")).sentence("en")
    assert "Extraversion" in refusal(make([*ORDERS[0], "Extraversion"], name="four")).sentence("ko")
    # A bare encoder whose configuration promises labels: transformers would make up the classifier.
    bare = make(name="bare")
    transformers.BertModel.from_pretrained(bare).save_pretrained(bare)
    edit(bare, id2label=dict(enumerate(ORDERS[0])), label2id={label: i for i, label in enumerate(ORDERS[0])})
    assert "classifier" in refusal(bare).sentence("en")


@pytest.mark.parametrize("name", ["me/no-such-model", "no-such-model", "", ".", "..", "a b", "x" * 500, "../../etc/passwd", "a/b/c", "https://example.com/x", "me/none\0", "--", "model-ü"])
def test_a_model_that_is_not_here_says_how_to_get_it_and_touches_no_network(name: str) -> None:
    assert not on_disk(name)
    error = refusal(name)
    assert error.kind in ("not configured", "unreadable")
    if error.kind == "not configured":
        assert "--download" in error.sentence("ko") and "--download" in error.sentence("en")


def spoil_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert", ')


def spoil_config_shape(folder: Path) -> None:
    (folder / "config.json").write_text("[]")


def spoil_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 3}')


def drop_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def shrink(folder: Path) -> None:
    edit(folder, hidden_size=16)


def not_pickle(folder: Path) -> None:
    drop_weights(folder)
    (folder / "pytorch_model.bin").write_bytes(b"these are no weights")


@pytest.mark.parametrize("spoil", [spoil_weights, spoil_config, spoil_config_shape, spoil_tokenizer, drop_tokenizer, drop_weights, shrink, not_pickle])
def test_broken_files_end_in_a_sentence(spoil: Callable[[Path], None], make: Make) -> None:
    folder = make()
    spoil(folder)
    error = refusal(folder)
    assert error.kind == "unreadable" and str(folder) in error.sentence("ko")


def test_a_pickle_that_would_run_code_is_not_unpickled(make: Make, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    folder = make()
    drop_weights(folder)
    torch.save({"classifier.bias": Trap()}, folder / "pytorch_model.bin")
    assert refusal(folder).kind == "unreadable"
    assert not (tmp_path / "sprung").exists()


def test_code_that_comes_with_a_checkpoint_is_not_run(make: Make, tmp_path: Path) -> None:
    folder = make()
    (folder / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n")
    edit(folder, model_type="own", auto_map={"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"})
    assert "'own'" in refusal(folder).sentence("en")
    edit(folder, model_type="bert")
    assert load(str(folder)).checkpoint.columns == Columns(0, 2)
    assert not (tmp_path / "ran").exists()


def test_a_model_that_computes_no_numbers_says_so_instead_of_marking(make: Make) -> None:
    folder = make()
    model = transformers.BertForSequenceClassification.from_pretrained(folder)
    torch.nn.init.constant_(model.classifier.weight, float("nan"))
    model.save_pretrained(folder)
    judge = load(str(folder))
    with pytest.raises(OpinionError, match="NaN"):
        judge.judge(QUESTION, "The sigmoid saturates.", "en")


def test_a_tokenizer_of_another_model_is_an_error_not_a_crash(make: Make, tokenizer: Any) -> None:
    folder = make(of=trained_tokenizer(["a b c"]))
    tokenizer.save_pretrained(folder)
    judge = load(str(folder))
    with pytest.raises(OpinionError) as caught:
        judge.judge(QUESTION, "The sigmoid saturates and its outputs are not centred.", "en")
    assert caught.value.kind == "unreadable"


def test_a_checkpoint_in_the_hubs_cache_loads_without_a_network_even_as_a_pickle(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    assert not on_disk("me/tiny")
    folder = make()
    torch.save(transformers.BertForSequenceClassification.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    drop_weights(folder)
    kept = tmp_path / "hub" / "models--me--tiny"
    shutil.copytree(folder, kept / "snapshots" / ("0" * 40))
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("0" * 40)
    assert on_disk("me/tiny")
    judge = load("me/tiny")
    opinion = judge.judge(QUESTION, f"The sigmoid is {YES} flat.", "en")
    assert (opinion.judge, opinion.points[0].status) == ("me/tiny", "made")
    (kept / "snapshots" / ("0" * 40) / "pytorch_model.bin").unlink()
    assert not on_disk("me/tiny")


def test_half_precision_weights_are_computed_with_in_float32(make: Make) -> None:
    folder = make(by=by_chance)
    transformers.BertForSequenceClassification.from_pretrained(folder).half().save_pretrained(folder)
    assert {parameter.dtype for parameter in load(str(folder)).checkpoint.model.parameters()} == {torch.float32}


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed()
    monkeypatch.setattr(checkpoints.importlib.util, "find_spec", lambda name: None)
    assert not installed() and not on_disk("me/tiny")
    error = refusal("me/tiny")
    assert error.kind == "not installed" and "pip install 'viva[nli]'" in error.sentence("ko")


@pytest.fixture(scope="module")
def random_judge(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("random")
    by_chance(tokenizer, ORDERS[0]).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return load(str(folder))


def test_the_same_answer_gets_the_same_opinion(random_judge: Any) -> None:
    question = BANK["relu-vs-sigmoid"]
    answer = question.answer.get("ko")
    first, second = random_judge.judge(question, answer, "ko"), random_judge.judge(question, answer, "ko")
    assert first.points == second.points and [mark.id for mark in first.points] == [point.id for point in question.points]


def test_what_shares_a_batch_changes_no_probability(random_judge: Any) -> None:
    point = BANK["relu-vs-sigmoid"].points[0].text
    pairs = [(sentence, text) for sentence in [*texts("ko")[:15], "a", *texts("en")[:20]] for text in (point.ko, point.en)]
    together = random_judge.checkpoint.probabilities(pairs)
    alone = np.concatenate([random_judge.checkpoint.probabilities([pair]) for pair in pairs])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.std(axis=0).min() > 0.01  # the pairs do differ


def test_the_text_that_a_model_is_given_has_spelled_formulas_and_both_languages(random_judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    monkeypatch.setattr(Checkpoint, "probabilities", lambda self, pairs: (seen.extend(pairs), np.zeros((len(pairs), 2)))[1])
    random_judge.judge(QUESTION, "First,  **one**\nline", "en")
    assert {hypothesis for _, hypothesis in seen} == {
        "시그모이드의 도함수는 최대 1/4이다", "The derivative of the sigmoid is at most 1/4", "출력의 평균이 0이 아니다", "Its outputs are not centred at zero",
    }  # fmt: skip
    assert {premise for premise, _ in seen} == {"First, one", "line", "First, one line"}


@pytest.mark.parametrize("answer", ["기울기가 작다. " * 12_000, "a. " * 35_000, "가" * 35_000, "$" * 100_000, "\n" * 100_000 + "slope", "한" * 90 + "." * 100_000])
def test_an_answer_of_100_kilobytes_costs_a_bounded_number_of_pairs(answer: str, random_judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def count(self: Checkpoint, pairs: Sequence[tuple[str, str]]) -> Any:
        counted.append(len(pairs))
        return np.zeros((len(pairs), 2))

    monkeypatch.setattr(Checkpoint, "probabilities", count)
    opinion = random_judge.judge(BANK["relu-vs-sigmoid"], answer, "ko")
    assert sum(counted) <= MAX_PAIRS and len(opinion.points) == len(BANK["relu-vs-sigmoid"].points)
    if sum(counted) > MAX_PAIRS / 2:
        assert all(mark.why.startswith("답의 앞 ") for mark in opinion.points)


def test_sentences_that_were_left_out_are_spoken_of_beside_every_mark(make: Make) -> None:
    answer = f"The sigmoid is {YES} flat. " + "And so on it goes. " * 200 + f"Its outputs are {NO} centred."
    marks = load(str(make())).judge(QUESTION, answer, "en").points
    assert [mark.status for mark in marks] == ["made", "made"]
    assert all("Only the first 64 sentences" in mark.why for mark in marks)


def test_a_sentence_longer_than_the_model_reads_is_cut_not_an_error(make: Make) -> None:
    answer = f"{YES} " + "sigmoid " * 85 + "derivative " * 200
    assert statuses(make(), answer)["slope"] == "made"


@pytest.mark.parametrize("answer", ["", "   \n", "...", "?!", "\u200b", "🙂"])
def test_an_answer_that_says_nothing_makes_no_point(answer: str, make: Make) -> None:
    assert statuses(make(), answer) == {"slope": "missed", "centre": "missed"}


@given(answer=st.text(max_size=200) | st.text(alphabet="가나다 sigmoid.!?\n$**\\{}, ¼²", max_size=200))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_quote_is_verbatim_whatever_was_written(answer: str, random_judge: Any) -> None:
    for mark in random_judge.judge(QUESTION, answer, "ko").points:
        assert mark.status in STATUSES and answer[mark.start : mark.end] == mark.quote
        assert bool(mark.quote.strip()) == (mark.status != "missed")


def test_a_model_without_korean_refuses_korean_answers_and_reads_english_ones(make: Make) -> None:
    judge = load(str(make(of=trained_tokenizer(texts("en")))))
    assert judge.checkpoint.languages == ("en",)
    assert judge.judge(QUESTION, f"The sigmoid is {YES} flat.", "ko").points[0].status == "made"
    with pytest.raises(OpinionError) as caught:
        judge.judge(QUESTION, "시그모이드는 기울기가 작습니다.", "ko")
    assert "한국어" in caught.value.sentence("ko") and "Korean" in caught.value.sentence("en")
    korean = QUESTION.model_copy(update={"points": tuple(point.model_copy(update={"text": point.text.model_copy(update={"en": None})}) for point in QUESTION.points)})
    with pytest.raises(OpinionError, match="Korean"):
        judge.judge(korean, "The sigmoid is flat.", "en")


def ran(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``viva`` with ``arguments``."""
    from viva.cli import main

    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return (ended.value.code or 0, *capsys.readouterr())  # type: ignore[return-value]


@pytest.fixture
def answer_file(tmp_path: Path) -> Path:
    path = tmp_path / "answer.txt"
    path.write_text(f"ReLU has a gradient of {YES} one for positive inputs. Sigmoids saturate.", encoding="utf-8")
    return path


def test_the_terminal_shows_the_opinion_below_the_offline_grade_which_stays_as_it_is(make: Make, answer_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grade, folder = ["grade", "relu-vs-sigmoid", str(answer_file), "--lang", "en"], str(make())
    offline, asked = ran(grade, capsys), ran([*grade, "--nli", folder], capsys)
    assert asked[0] == 0 and asked[1].startswith(offline[1]) and offline[1] != asked[1]
    added = asked[1].removeprefix(offline[1])
    assert folder.rsplit("/", 1)[-1] in added and f"“ReLU has a gradient of {YES} one for positive inputs.”" in " ".join(added.split())
    assert "100%" in added


def test_the_opinion_as_json_stands_beside_the_documented_grade(make: Make, answer_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grade, folder = ["grade", "relu-vs-sigmoid", str(answer_file), "--lang", "en", "--json"], str(make())
    offline, asked = json.loads(ran(grade, capsys)[1]), json.loads(ran([*grade, "--nli", folder], capsys)[1])
    opinions = asked.pop("opinions")
    assert asked == offline and "opinions" not in offline
    assert [set(opinion) for opinion in opinions] == [{"judge", "score", "points", "refused", "seconds"}]
    assert (opinions[0]["judge"], opinions[0]["score"]) == (folder, 1.0)
    assert {mark["status"] for mark in opinions[0]["points"]} == {"made"}


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_without_the_model_the_offline_grade_is_shown_and_standard_error_says_why(form: list[str], answer_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grade = ["grade", "relu-vs-sigmoid", str(answer_file), "--lang", "en", *form]
    offline, asked = ran(grade, capsys), ran([*grade, "--nli", "me/none"], capsys)
    assert asked[0] == 1 and "--download" in asked[2] and "me/none" in asked[2]
    if form:
        assert json.loads(asked[1]) == {**json.loads(offline[1]), "opinions": []}
    else:
        assert asked[1] == offline[1]


def test_labels_and_download_without_a_model_are_a_wrong_command_line(answer_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in (["--download"], ["--labels", "entailment,neutral,contradiction"]):
        code, _, said = ran(["grade", "relu-vs-sigmoid", str(answer_file), *option], capsys)
        assert code == 2 and "--nli" in said


def test_labels_are_given_by_name_in_order(make: Make, answer_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make()
    edit(folder, id2label={str(i): f"LABEL_{i}" for i in range(3)}, label2id={f"LABEL_{i}": i for i in range(3)})
    grade = ["grade", "relu-vs-sigmoid", str(answer_file), "--lang", "en", "--json", "--nli", str(folder)]
    assert ran(grade, capsys)[0] == 1
    assert json.loads(ran([*grade, "--labels", "Entailment, neutral, contradiction"], capsys)[1])["opinions"][0]["score"] == 1.0


def test_evaluate_shows_the_model_beside_the_baselines(make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        {"qid": "softmax", "lang": "en", "answer": f"It is {YES} so.", "human_score": 1.0},
        {"qid": "softmax", "lang": "en", "answer": f"It is {HALF} so.", "human_score": 0.5},
        {"qid": "softmax", "lang": "ko", "answer": "잘 모르겠습니다.", "human_score": 0.0},
    ]
    path = tmp_path / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    evaluate = ["grading", "evaluate", "--answers", str(path)]
    metrics = json.loads(ran([*evaluate, "--json", "--nli", str(make())], capsys)[1])["metrics"]
    plain = json.loads(ran([*evaluate, "--json"], capsys)[1])["metrics"]
    column = metrics["all"].pop("entailment")
    assert column["pearson"] == pytest.approx(1.0) and column["mean_error"] == 0 and column["n"] == 3
    assert metrics["all"] == plain["all"]
    assert "entailment" in ran([*evaluate, "--nli", str(tmp_path / "nli")], capsys)[1]
    code, _, said = ran([*evaluate, "--nli", "me/none"], capsys)
    assert code == 1 and said.startswith("viva: me/none")


def test_neither_judge_nor_checkpoint_loads_torch_before_a_model_is_asked_for() -> None:
    code = "import viva.grading.entailment as e, sys; e.installed(); e.on_disk('me/none'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers"} & set(loaded)


class Hub:
    """The Hugging Face hub with one model, ``me/tiny``, on this machine; ``asked`` are the requests so far."""

    def __init__(self, folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        asked: list[tuple[str, str]] = []
        commit = "1" * 40
        entries = [{"type": "file", "path": name, "size": len(data), "oid": "a" * 40} for name, data in files.items()]
        about = {"id": "me/tiny", "sha": commit, "siblings": [{"rfilename": name} for name in files]}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.split("?")[0]
                asked.append((self.command, path))
                name = path.removeprefix(f"/me/tiny/resolve/{commit}/")
                code, data, headers = 404, b"{}", {"X-Error-Code": "RepoNotFound"}
                if name in files:
                    code, data = 200, files[name]
                    headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": commit}
                elif path.startswith("/api/models/me/tiny"):
                    code, data, headers = 200, json.dumps(entries if "/tree/" in path else about).encode(), {}
                self.send_response(code)
                for key, value in {**headers, "Content-Length": str(len(data))}.items():
                    self.send_header(key, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(data)

            do_HEAD = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.slow
def test_a_model_is_fetched_only_on_request_only_once_and_only_what_is_needed_of_it(make: Make, answer_file: Path, tmp_path: Path) -> None:
    folder = make()
    for other in ("pytorch_model.bin", "tf_model.h5", "own.py", "onnx/model.safetensors", "onnx/config.json"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_bytes(b"not needed")
    hub = Hub(folder)
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "VIVA_LANG": "en"}

    def viva(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "viva", "grade", "relu-vs-sigmoid", str(answer_file), "--lang", "en", "--json", "--nli", *options]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    try:
        first = viva("me/tiny")
        assert first.returncode == 1 and "--download" in first.stderr and not hub.asked
        unknown = viva("me/none", "--download")
        assert unknown.returncode == 1 and "no such public model" in unknown.stderr
        fetched = viva("me/tiny", "--download")
        assert fetched.returncode == 0, fetched.stderr
        assert json.loads(fetched.stdout)["opinions"][0]["score"] == 1.0
        got = {path.rsplit("/", 1)[-1] for method, path in hub.asked if method == "GET" and "/resolve/" in path}
        assert got == {path.name for path in folder.iterdir() if path.suffix in (".json", ".safetensors")}
        assert not [path for _, path in hub.asked if "onnx" in path]
    finally:
        hub.close()
    again = viva("me/tiny")
    assert again.returncode == 0 and json.loads(again.stdout)["opinions"][0]["points"] == json.loads(fetched.stdout)["opinions"][0]["points"]
    lost = viva("me/tiny", "--download")
    assert lost.returncode == 1 and "could not be downloaded" in lost.stderr and json.loads(lost.stdout)["points"]
