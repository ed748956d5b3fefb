"""NLI checkpoints of Hugging Face transformers: found on this disk, fetched when asked for, loaded, and computed with.

A checkpoint is a folder (``config.json``, weights, the tokenizer's files) or a name on the hub. It is always loaded from a folder, offline,
and no code that comes with it is run. What its outputs mean is read from its own label names; one that names no entailment is refused
rather than guessed at. Torch and transformers (extra ``viva[nli]``) are imported only when a checkpoint is loaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from viva.grading.opinion import OpinionError
from viva.language import LANGUAGES, Language, Text

MAX_TOKENS = 512
"""Of one pair; what is longer is cut."""
_BATCH = 16
_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
_REPOSITORY = re.compile(r"[\w.-]{1,96}(/[\w.-]{1,96})?", re.ASCII)
_SAMPLE = {"ko": "신경망은 손실을 줄이는 방향으로 가중치를 조금씩 바꿉니다.", "en": "The network changes its weights a little so that the loss gets smaller."}
_PIECES = {"ko": 1.5, "en": 0.8}
"""Tokens per letter. A vocabulary without Korean writes a syllable as two or three letters or bytes; one with it, as one or less."""


@dataclass(frozen=True)
class Columns:
    """Which of a checkpoint's labels mean what; two-label checkpoints know no contradiction."""

    entailment: int
    contradiction: int | None


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded model with its tokenizer; threads take turns."""

    name: str
    model: Any
    tokenizer: Any
    columns: Columns
    languages: tuple[Language, ...]
    """What the vocabulary can write."""
    turn: Any = field(default_factory=threading.Lock, repr=False)

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Of entailment and of contradiction (0 where the model knows none) for (premise, hypothesis) ``pairs``: (pairs, 2), float32.

        Raises:
            OpinionError: the checkpoint's files do not fit together, or it computes no numbers.
        """
        import torch

        # Similar lengths in one batch: little padding.
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        found = np.zeros((len(pairs), 2), dtype=np.float32)
        try:
            with self.turn, torch.inference_mode():
                for at in range(0, len(order), _BATCH):
                    rows = order[at : at + _BATCH]
                    batch = self.tokenizer(
                        [pairs[i][0] for i in rows], [pairs[i][1] for i in rows],
                        truncation=True, max_length=_longest(self.model, self.tokenizer), padding=True, return_tensors="pt",
                    )  # fmt: skip
                    chances = self.model(**batch).logits.softmax(dim=-1)  # (batch, labels)
                    found[rows, 0] = chances[:, self.columns.entailment].numpy()
                    if self.columns.contradiction is not None:
                        found[rows, 1] = chances[:, self.columns.contradiction].numpy()
        except Exception as error:  # a vocabulary of the wrong size, no padding token, …: each library has its own
            raise _broken(self.name, error) from error
        if not np.isfinite(found).all():
            raise _broken(self.name, Text(ko="계산 결과가 숫자가 아니에요: NaN", en="what it computes is no number: NaN"))
        return found


def installed() -> bool:
    """Whether the packages of ``viva[nli]`` are there; imports nothing."""
    return all(importlib.util.find_spec(package) for package in ("torch", "transformers", "huggingface_hub"))


def on_disk(name: str) -> bool:
    """Whether the checkpoint ``name`` (a folder, or a name on the Hugging Face hub) can be loaded without a network."""
    folder = _folder(name)
    return folder is not None and (folder / "config.json").is_file() and any(list(folder.glob(weights)) for weights in _WEIGHTS)


def open_checkpoint(name: str, download: bool = False, labels: Sequence[str] = ()) -> Checkpoint:
    """The checkpoint ``name``: a folder, or a name on the Hugging Face hub that was downloaded before.

    Args:
        download: fetch it (or what is missing of it) from the hub first; otherwise no network is used.
        labels: what the model's outputs mean, in their order, for checkpoints that do not say.

    Raises:
        OpinionError: not installed, not on disk, no entailment model, or files that cannot be read; says what to do.
    """
    if not installed():
        raise OpinionError(
            "not installed",
            "함의 모델을 쓰려면 패키지가 더 필요해요. pip install 'viva[nli]'를 실행해 주세요.",
            "An entailment model needs more packages: run pip install 'viva[nli]'.",
        )
    folder = _download(name) if download and not _is_folder(name) else _folder(name)
    if folder is None:
        raise OpinionError(
            "not configured",
            f"{name[:200]}: 이 컴퓨터에 없는 모델이에요. viva grade 질문 답 --nli {name[:200]} --download를 실행하면 Hugging Face에서 받아 와요. 이미 가지고 있다면 폴더 경로를 적어 주세요.",
            f"{name[:200]}: this model is not on this machine. Run viva grade QUESTION ANSWER --nli {name[:200]} --download to fetch it from Hugging Face; if you have it, give its folder.",
        )
    from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    offline = {"local_files_only": True, "trust_remote_code": False}
    try:
        kind = json.loads((folder / "config.json").read_bytes()).get("model_type", "")
        if kind not in CONFIG_MAPPING:
            raise OpinionError(
                "not configured",
                f"{name}: transformers에 '{kind}'라는 구조가 없어요. 체크포인트에 딸린 코드는 실행하지 않으니 다른 체크포인트를 골라 주세요.",
                f"{name}: transformers knows no architecture '{kind}', and code that comes with a checkpoint is not run. Choose another checkpoint.",
            )
        with _quietly():
            config = AutoConfig.from_pretrained(folder, **offline)
            columns = _columns(name, config, labels)
            tokenizer = AutoTokenizer.from_pretrained(folder, **offline)
            model, report = AutoModelForSequenceClassification.from_pretrained(folder, config=config, output_loading_info=True, **offline)
    except OpinionError:
        raise
    except Exception as error:  # JSON, safetensors, pickle, tokenizers, transformers: each has its own for a broken file
        raise _broken(name, error) from error
    if report["missing_keys"]:  # transformers would fill them with random numbers
        raise _no_entailment(name, f"가중치에 {min(report['missing_keys'])}가 없어요", f"its weights lack {min(report['missing_keys'])}")
    languages = tuple(language for language in LANGUAGES if _writes(tokenizer, language))
    if not languages:  # where its files are missing, transformers makes an empty one
        raise _broken(name, Text(ko="토크나이저의 어휘에 한국어도 영어도 없어요", en="the tokenizer's vocabulary has neither Korean nor English"))
    return Checkpoint(name, model.float().eval(), tokenizer, columns, languages)


def _is_folder(name: str) -> bool:
    return os.path.isdir(name)  # False for every name that cannot be one


def _folder(name: str) -> Path | None:
    """Where ``name`` lies on this disk; None where it does not."""
    if _is_folder(name):
        return Path(name)
    if not _REPOSITORY.fullmatch(name) or not installed():
        return None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        return None
    return Path(found).parent if isinstance(found, str) else None


def _download(name: str) -> Path:
    """The folder of ``name``, after what is missing was fetched: weights as safetensors where there are some, and text files."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        files = [Path(file.rfilename) for file in HfApi().model_info(name).siblings or ()]
        safe = any(file.match(_WEIGHTS[0]) and len(file.parts) == 1 for file in files)
        wanted = [_WEIGHTS[0] if safe else _WEIGHTS[1], "*.json", "*.txt", "*.model"]
        return Path(snapshot_download(name, allow_patterns=wanted, ignore_patterns=["*/*"]))
    except (HFValidationError, RepositoryNotFoundError):
        raise OpinionError(
            "not configured",
            f"{name[:200]}: Hugging Face에 그런 공개 모델이 없어요. 이름을 확인해 주세요.",
            f"{name[:200]}: there is no such public model on Hugging Face. Check the name.",
        ) from None
    except Exception as error:  # the hub's client passes on what its HTTP library raises
        raise OpinionError(
            "unreachable",
            f"{name}: 받지 못했어요 ({_line(error)}). 네트워크와 디스크를 확인하고 다시 실행하면 이어서 받아요.",
            f"{name}: could not be downloaded ({_line(error)}). Check the network and the disk and run it again; it goes on where it stopped.",
        ) from error


def _columns(name: str, config: Any, labels: Sequence[str]) -> Columns:
    """From ``labels``, else from the names in the configuration, in whatever order and case."""
    count = len(config.id2label)
    if labels and len(labels) != count:
        raise OpinionError(
            "not configured",
            f"--labels에 이름이 {len(labels)}개 있는데, {name}의 출력은 {count}개예요.",
            f"--labels has {len(labels)} names, but {name} has {count} outputs.",
        )
    named = [str(config.id2label[i]) for i in range(count)]
    if not labels and all(re.fullmatch(r"LABEL_\d+", label) for label in named):  # some name them in label2id alone
        reverse = {place: label for label, place in (config.label2id or {}).items()}
        named = [str(reverse.get(i, label)) for i, label in enumerate(named)]
    said = [re.sub("[^a-z]+", "_", label.lower()).strip("_") for label in (labels or named)]
    if sorted(said) == ["contradiction", "entailment", "neutral"]:
        return Columns(said.index("entailment"), said.index("contradiction"))
    if sorted(said) in (["entailment", "not_entailment"], ["entailment", "non_entailment"]):
        return Columns(said.index("entailment"), None)
    listed = ", ".join(labels or named)[:200]
    raise _no_entailment(name, f"출력 이름이 {listed}예요", f"its labels are {listed}")


def _writes(tokenizer: Any, language: Language) -> bool:
    """Whether the vocabulary has words of ``language``, not just its letters."""
    text = _SAMPLE[language]
    pieces = tokenizer.tokenize(text)
    letters = sum(ch.isalpha() for ch in text)
    return pieces.count(tokenizer.unk_token) <= len(pieces) / 5 and 0 < len(pieces) <= _PIECES[language] * letters


def _longest(model: Any, tokenizer: Any) -> int:
    """Tokens of one pair. RoBERTa's first position is 2, so two of ``max_position_embeddings`` are never used."""
    positions = getattr(model.config, "max_position_embeddings", None) or MAX_TOKENS + 2
    return int(min(MAX_TOKENS, tokenizer.model_max_length, positions - 2 if positions > 2 else MAX_TOKENS))


def _no_entailment(name: str, ko: str, en: str) -> OpinionError:
    return OpinionError(
        "not configured",
        f"{name}: 함의(entailment)를 판정하는 체크포인트가 아니에요: {ko}. NLI로 학습한 것을 고르거나, 출력에 이름이 없을 뿐이라면 순서대로 알려 주세요: --labels entailment,neutral,contradiction",
        f"{name}: is no checkpoint for entailment: {en}. Choose one trained on NLI; if its outputs just have no names, give them in order: --labels entailment,neutral,contradiction",
    )


def _broken(name: str, reason: Exception | Text) -> OpinionError:
    said = reason if isinstance(reason, Text) else Text(en=_line(reason))
    return OpinionError(
        "unreadable",
        f"{name}: 모델 파일을 쓸 수 없어요 ({said.get('ko')}). --download를 붙여 다시 받거나 다른 체크포인트를 골라 주세요.",
        f"{name}: the model's files cannot be used ({said.get('en')}). Fetch them again with --download, or choose another checkpoint.",
    )


def _line(error: Exception) -> str:
    """The first line of what went wrong, short."""
    words = str(error).strip().splitlines() or [type(error).__name__]
    return words[0][:160]


@contextmanager
def _quietly() -> Iterator[None]:
    """Without progress bars and reports on standard error: what matters of them becomes an :class:`OpinionError`."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
