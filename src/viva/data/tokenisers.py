"""Text to ids and back: byte-level BPE (GPT-2), WordPiece (BERT) and characters, trained in place.

The `tokenizers` package does the work, in Rust; `bpe.py` explains its BPE line by line, and `wordpiece` below
its WordPiece.

    byte-level BPE   Radford et al. 2019, section 2.2. Nothing is unknown: decode(encode(text)) == text.
    WordPiece        Schuster, Nakajima 2012; Devlin et al. 2019 (BERT), section 3. Greedy longest match from a
                     word's start; pieces inside a word carry ``##``; a word with no match is [UNK]. Spaces are
                     lost and, where asked, case.
    characters       Karpathy 2015, *char-rnn*: an id for each character of the corpus; unknown ones are an error.

A batch (`padding.Batch`) is ``ids`` int64 (N, T), ``mask`` bool (N, T), True where a token is real, and
``segments`` int64 (N, T): 0 for the first text and its marks, 1 for the second (BERT's token types). T is the
longest text of the batch.
"""

from __future__ import annotations

import json
import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from viva.data.padding import Batch, pad

Kind = Literal["byte_level_bpe", "wordpiece", "characters"]

PAD, UNK, CLS, SEP, MASK = BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # ids 0 to 4
END_OF_TEXT = "<|endoftext|>"  # GPT-2's one special token: between documents, and padding


# ----------------------------------------------------------------------------------- WordPiece, explained


def wordpiece(
    word: str, vocabulary: Mapping[str, int], *, unknown: str = UNK, longest: int = 100
) -> list[str]:
    """A word's pieces: from its start, the longest piece in the vocabulary, and again from where that one
    ends.

    ``"embeddings"`` -> ``["em", "##bed", "##ding", "##s"]``. Where no piece fits, the whole word is
    ``unknown``, and so is a word of more than ``longest`` characters. Greedy: a shorter first piece that
    would have let the rest fit is not tried.
    """
    if len(word) > longest:
        return [unknown]
    pieces: list[str] = []
    start = 0
    while start < len(word):
        inside = "##" if start else ""
        ends = range(len(word), start, -1)
        end = next((end for end in ends if inside + word[start:end] in vocabulary), None)
        if end is None:
            return [unknown]
        pieces.append(inside + word[start:end])
        start = end
    return pieces


# --------------------------------------------------------------------------------------------- the tokeniser


class Tokeniser:
    """One face for the three kinds; made by the constructors below or by `load`.

    Text is only ever text: ``"[MASK]"`` or ``"<|endoftext|>"`` typed by a person is spelt out, never a
    special token.
    """

    def __init__(self, kind: Kind, package: Tokenizer, specials: Sequence[str]) -> None:
        self.kind = kind
        self.package = package
        self.specials = tuple(specials)
        package.encode_special_tokens = True  # not kept in the package's own JSON
        self._vocab_size: int = package.get_vocab_size()

    def __repr__(self) -> str:
        return f"Tokeniser({self.kind}, {self.vocab_size} tokens)"

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    @property
    def vocabulary(self) -> dict[str, int]:
        """token -> id; a copy."""
        return dict(self.package.get_vocab())

    def id(self, token: str) -> int:
        """The id of a token, special ones too. Raises ValueError where there is none."""
        found = self.package.token_to_id(token)
        if found is None:
            raise ValueError(
                f"{token!r} is not among the {self.vocab_size} tokens of this {self.kind} tokeniser"
            )
        return int(found)

    def token(self, index: int) -> str:
        """The token of an id. Raises ValueError for an id outside the vocabulary."""
        if not 0 <= index < self.vocab_size:
            raise ValueError(f"token id {index} is outside the vocabulary of {self.vocab_size}")
        return str(self.package.id_to_token(index))

    @property
    def special_ids(self) -> tuple[int, ...]:
        return tuple(self.id(token) for token in self.specials)

    @property
    def pad_id(self) -> int:
        """[PAD] where there is one, else <|endoftext|>, else 0: what fills a batch, always outside its mask."""
        return next((self.id(token) for token in (PAD, END_OF_TEXT) if token in self.specials), 0)

    # -- text to ids

    def encode(self, text: str, *, specials: bool = False, max_length: int | None = None) -> list[int]:
        """Ids of one text. ``specials`` puts BERT's frame around it: [CLS] text [SEP].

        ``max_length`` cuts the end of the text, never the frame. Raises TypeError where ``text`` is no
        string, ValueError for a character that a character tokeniser does not know.
        """
        return self._framed(self._ids([_text(text)])[0], None, specials, max_length)[0]

    def encode_pair(
        self, first: str, second: str, *, max_length: int | None = None
    ) -> tuple[list[int], list[int]]:
        """BERT's pair: [CLS] first [SEP] second [SEP] -> ``(ids, segments)``; segments 0 up to the first
        [SEP], then 1.

        Too long a pair loses tokens one by one at the end of whichever text is the longer (the second, if
        both are equal).
        """
        left, right = self._ids([_text(first), _text(second)])
        return self._framed(left, right, True, max_length)

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        specials: bool | None = None,
        max_length: int | None = None,
    ) -> Batch:
        """Texts, or with ``pairs`` pairs of texts, as one padded batch.

        ``specials``: None frames with [CLS] and [SEP] where the tokeniser has them (WordPiece), and not
        otherwise.
        """
        if isinstance(texts, str):
            raise TypeError("texts is one string; expected several texts: pass [text]")
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(
                f"{len(texts)} texts were given with {len(pairs)} second texts; expected as many"
            )
        framed = CLS in self.specials if specials is None else specials
        left = self._ids([_text(text) for text in texts])
        right = [None] * len(left) if pairs is None else self._ids([_text(text) for text in pairs])
        rows = [
            self._framed(a, b, framed or pairs is not None, max_length)
            for a, b in zip(left, right, strict=True)
        ]
        return pad([ids for ids, _ in rows], self.pad_id, segments=[kinds for _, kinds in rows])

    def _ids(self, texts: list[str]) -> list[list[int]]:
        if self.kind == "characters":
            known = self.package.get_vocab()
            for text in texts:
                strange = next((letter for letter in text if letter not in known), None)
                if strange is not None:
                    raise ValueError(
                        f"the character {strange!r} is not among the {self.vocab_size} that this tokeniser knows; "
                        "train it on a corpus that has it, or use byte_level_bpe, which knows every text"
                    )
        return [encoding.ids for encoding in self.package.encode_batch_fast(texts, add_special_tokens=False)]

    def _framed(
        self, first: list[int], second: list[int] | None, specials: bool, max_length: int | None
    ) -> tuple[list[int], list[int]]:
        """``(ids, segments)`` with [CLS] and [SEP] where asked, cut to ``max_length``."""
        if specials and CLS not in self.specials:
            raise ValueError(
                f"this {self.kind} tokeniser has no [CLS] and [SEP]; train a wordpiece one for BERT"
            )
        frame = (2 if second is None else 3) if specials else 0
        if max_length is not None:
            if not isinstance(max_length, int):
                raise TypeError(f"max_length is {max_length!r}; expected a whole number")
            room = max_length - frame
            if room < 0:
                raise ValueError(
                    f"max_length {max_length} has no room for the {frame} special tokens around the text"
                )
            first, second = _cut(first, second, room)
        if not specials:
            return list(first), [0] * len(first)
        start, end = self.id(CLS), self.id(SEP)
        ids = [start, *first, end]
        segments = [0] * len(ids)
        if second is not None:
            ids += [*second, end]
            segments += [1] * (len(second) + 1)
        return ids, segments

    # -- ids to text

    def decode(self, ids: Iterable[int] | torch.Tensor, *, skip_specials: bool = True) -> str:
        """The text of ids (a list or a tensor (T,)). Raises ValueError for an id outside the vocabulary."""
        if isinstance(ids, torch.Tensor) and ids.dim() != 1:
            raise ValueError(f"ids of shape {tuple(ids.shape)} were given; expected (T,): decode row by row")
        if not isinstance(ids, Iterable):
            raise TypeError(f"a {type(ids).__name__} was given; expected ids, a list of integers or a tensor (T,)")
        numbers = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
        if strange := [index for index in numbers if not hasattr(index, "__index__")]:
            raise TypeError(f"{strange[0]!r} was given as a token id; expected an integer")
        numbers = [operator.index(index) for index in numbers]
        for index in numbers:
            if not 0 <= index < self.vocab_size:
                raise ValueError(f"token id {index} is outside the vocabulary of {self.vocab_size}")
        return str(self.package.decode(numbers, skip_special_tokens=skip_specials))

    # -- one JSON file

    def save(self, path: str | Path) -> None:
        """Write everything into one JSON file, for `load`."""
        kept = {"kind": self.kind, "specials": self.specials, "tokenizer": json.loads(self.package.to_str())}
        Path(path).write_text(json.dumps(kept, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Tokeniser:
        """A tokeniser that `save` wrote. Raises ValueError where the file is something else."""
        try:
            kept: Any = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(kept["kind"], Tokenizer.from_str(json.dumps(kept["tokenizer"])), kept["specials"])
        except OSError:
            raise
        except Exception as error:  # the package raises a bare Exception for a broken model
            raise ValueError(
                f"{path} is no tokeniser: expected the JSON that Tokeniser.save writes"
            ) from error


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"a {type(text).__name__} was given; expected a text (str)")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text has {text[error.start]!r} at place {error.start}, half of a character and no text: "
            "decode its bytes with errors='replace'"
        ) from None
    return text


def _cut(first: list[int], second: list[int] | None, room: int) -> tuple[list[int], list[int] | None]:
    """Both texts within ``room`` tokens: the longer loses first, in closed form instead of one by one."""
    if second is None:
        return first[:room], None
    keep_first = min(len(first), max(room - len(second), (room + 1) // 2))
    return first[:keep_first], second[: room - keep_first]


# ------------------------------------------------------------------------------------------- constructors


def byte_level_bpe(texts: Iterable[str], vocab_size: int, *, min_frequency: int = 2) -> Tokeniser:
    """GPT-2's tokeniser, trained on ``texts``: <|endoftext|> is id 0, then 256 bytes, then merges, at most
    ``vocab_size``.

    Raises ValueError where ``vocab_size`` is less than 257.
    """
    least = 1 + 256
    if vocab_size < least:
        raise ValueError(
            f"a vocabulary of {vocab_size} is smaller than 1 special token and 256 bytes: ask for {least} or more"
        )
    package = Tokenizer(models.BPE())
    package.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    package.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[END_OF_TEXT],
    )
    package.train_from_iterator(_corpus(texts), trainer)
    return Tokeniser("byte_level_bpe", package, [END_OF_TEXT])


def wordpiece_tokeniser(
    texts: Iterable[str],
    vocab_size: int,
    *,
    lowercase: bool = False,
    min_frequency: int = 2,
    limit_alphabet: int | None = None,
) -> Tokeniser:
    """BERT's tokeniser, trained on ``texts``: [PAD] [UNK] [CLS] [SEP] [MASK] are ids 0 to 4.

    Words are split at spaces and at punctuation. ``limit_alphabet`` keeps only the most frequent characters
    (a corpus of Korean has thousands of syllables); words with others become [UNK]. Raises ValueError where
    ``vocab_size`` has no room for the special tokens and the alphabet, each character once at a word's start
    and once inside, with ``##``.

    Accents are kept: stripping them the way BERT does (NFD) would take Hangul syllables apart into letters.
    The package learns by BPE's rule, the most frequent pair, not by likelihood as Schuster and Nakajima did.
    Left alone it numbers the ``##`` characters in a hash table's order, so two runs differ; they are handed
    to it in order here, and runs agree.
    """
    corpus = list(_corpus(texts))
    package = Tokenizer(models.WordPiece(unk_token=UNK))
    package.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=lowercase)
    package.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    package.decoder = decoders.WordPiece(cleanup=False)

    starts, insides = _alphabet(package, corpus, limit_alphabet)
    alphabet = sorted(starts | insides)
    joined = ["##" + letter for letter in sorted(insides)]
    least = len(BERT_SPECIALS) + len(alphabet) + len(joined)
    if vocab_size < least:
        raise ValueError(
            f"a vocabulary of {vocab_size} is smaller than {len(BERT_SPECIALS)} special tokens, "
            f"{len(alphabet)} characters and {len(joined)} of them inside words: ask for {least} or more, or set limit_alphabet"
        )
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=False,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[*BERT_SPECIALS, *joined],
    )
    package.train_from_iterator(corpus, trainer)

    # The ``##`` characters are ordinary tokens: a fresh tokeniser takes the vocabulary, and only five are special.
    fresh = Tokenizer(models.WordPiece(package.get_vocab(), unk_token=UNK, max_input_chars_per_word=100))
    fresh.normalizer, fresh.pre_tokenizer, fresh.decoder = (
        package.normalizer,
        package.pre_tokenizer,
        package.decoder,
    )
    fresh.add_special_tokens(list(BERT_SPECIALS))
    return Tokeniser("wordpiece", fresh, BERT_SPECIALS)


def character_tokeniser(texts: str | Iterable[str], *, specials: Sequence[str] = ()) -> Tokeniser:
    """An id for each character of a corpus (one string or several), in code-point order after ``specials``.

    Tiny Shakespeare has 65. decode(encode(text)) == text for every text of known characters.
    """
    letters = sorted(
        {letter for text in ([texts] if isinstance(texts, str) else texts) for letter in _text(text)}
    )
    if not letters:
        raise ValueError("the corpus is empty; expected at least one character")
    vocabulary = {token: index for index, token in enumerate([*specials, *letters])}
    package = Tokenizer(models.BPE(vocabulary, []))  # a BPE that never merges
    package.decoder = decoders.Fuse()
    package.add_special_tokens(list(specials))
    return Tokeniser("characters", package, specials)


def _corpus(texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected several texts: pass [text]")
    return (_text(text) for text in texts)


def _alphabet(package: Tokenizer, corpus: Iterable[str], limit: int | None) -> tuple[set[str], set[str]]:
    """The characters that begin a word and those inside one; with a limit, of the most frequent (ties: code point)."""
    words: Counter[str] = Counter()
    for text in corpus:
        normal = package.normalizer.normalize_str(text)
        words.update(word for word, _ in package.pre_tokenizer.pre_tokenize_str(normal))
    letters: Counter[str] = Counter()
    for word, often in words.items():
        for letter in word:
            letters[letter] += often
    kept = set(sorted(letters, key=lambda letter: (-letters[letter], letter))[:limit])
    starts = {word[0] for word in words} & kept
    insides = {letter for word in words for letter in word[1:]} & kept
    return starts, insides
