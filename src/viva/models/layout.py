"""A layout: how another library names the same weights, as data.

The same network is written down under different names: what is ``blocks.0.attention.query.weight`` here is one third of
``transformer.h.0.attn.c_attn.weight`` there, and transposed. A `Layout` turns a state dict ``{name: tensor}`` of theirs
into ours and back, bit for bit. The steps from theirs to ours, in this order (back: the inverse steps, the last first):

    ignored      names of theirs that carry no weights (position ids, causal masks) are left out
    tied         a second name for the same tensor is left out
    stacked      (experts, ...) becomes one tensor for each expert, or the other way round
    fused        one tensor becomes several, concatenated along ``dim``: the query, key and value of one matrix
    pairs        a name becomes another; `{}` stands for one part of a dotted name (a number, a word)
    transposed   (in, out) becomes (out, in)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

State = dict[str, Tensor]


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit the model; the message names the file or the keys."""


def some(names: list[str], most: int = 4) -> str:
    """The first few names and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


class Template:
    """A dotted name with `{}` for one part of it, which also stands for every name below it.

    ``Template("h.{}.attn").match("h.3.attn.bias")`` is ``(("3",), ".bias")``. The empty template matches every name.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.blanks = text.count("{}")
        body = r"([^.]+)".join(re.escape(piece) for piece in text.split("{}"))
        self._pattern = re.compile(rf"{body}((?:\..*)?)" if text else r"((?:.*)?)", re.DOTALL)

    def match(self, name: str) -> tuple[tuple[str, ...], str] | None:
        """What stands in the blanks and what follows, or None."""
        found = self._pattern.fullmatch(name)
        if found is None:
            return None
        *blanks, rest = found.groups()
        return tuple(blanks), (rest if self.text or not rest else "." + rest)

    def fill(self, blanks: Iterable[str], rest: str = "") -> str:
        """The name with these blanks and this rest."""
        name = self.text
        for blank in blanks:
            name = name.replace("{}", blank, 1)
        return (name + rest).removeprefix(".")


@dataclass(frozen=True)
class Fused:
    """Several tensors of ours that theirs keeps as one, concatenated along ``dim`` of *our* orientation.

    ``shares`` are the parts' relative sizes (``(4, 1, 1)`` for grouped queries); equal unless given.
    """

    parts: tuple[str, ...]
    dim: int = 0
    shares: tuple[int, ...] | None = None

    def split(self, name: str, tensor: Tensor) -> tuple[Tensor, ...]:
        shares = self.shares or (1,) * len(self.parts)
        size, whole = tensor.shape[self.dim], sum(shares)
        if size % whole:
            raise CheckpointError(f"{name}: dimension {self.dim} of {tuple(tensor.shape)} does not divide into {len(self.parts)} parts of shares {shares}")
        return tensor.split([size // whole * share for share in shares], dim=self.dim)


class Layout:
    """How another library names the same weights; see the module for the order of the steps.

    pairs: (ours, theirs), templates of names or of their beginnings: what follows is carried over, and the first pair
        that fits counts. A name that no pair fits keeps its name, so ``Layout()`` is the identity.
    transposed: our names whose matrices theirs keeps with the last two dimensions exchanged (vectors stay as they are).
    fused: {theirs: (ours, ours, ...)} or {theirs: Fused(...)}.
    stacked: {theirs: name with one more `{}`} takes a tensor apart along dimension 0, with the index in the last `{}`;
        {theirs: name with one `{}` less} puts tensors together. The new name is what ``fused`` and ``pairs`` then see.
    tied: {name of theirs: the name of theirs that holds the same tensor}.
    ignored: names of theirs that carry no weights; `to_theirs` does not bring them back.
    """

    def __init__(
        self,
        *pairs: tuple[str, str],
        transposed: Iterable[str] = (),
        fused: Mapping[str, tuple[str, ...] | Fused] | None = None,
        stacked: Mapping[str, str] | None = None,
        tied: Mapping[str, str] | None = None,
        ignored: Iterable[str] = (),
    ) -> None:
        self.pairs = [(Template(ours), Template(theirs)) for ours, theirs in pairs]
        self.transposed = [Template(name) for name in transposed]
        self.fused = [
            (Template(theirs), fusion if isinstance(fusion, Fused) else Fused(tuple(fusion)))
            for theirs, fusion in (fused or {}).items()
        ]  # fmt: skip
        self.stacked = [(Template(theirs), Template(between)) for theirs, between in (stacked or {}).items()]
        self.tied = [(Template(second), Template(first)) for second, first in (tied or {}).items()]
        self.ignored = [Template(name) for name in ignored]
        for one, other in [*self.pairs, *self.tied, *((theirs, Template(part)) for theirs, fusion in self.fused for part in fusion.parts)]:
            if one.blanks != other.blanks:
                raise ValueError(f"'{one.text}' has {one.blanks} blanks and '{other.text}' has {other.blanks}; a pair needs the same number")
        for one, other in self.stacked:
            if abs(one.blanks - other.blanks) != 1:
                raise ValueError(f"stacked '{one.text}' and '{other.text}': one of them needs exactly one blank more, the index")

    # From theirs to ours

    def to_ours(self, state: Mapping[str, Tensor]) -> State:
        """Their state dict under our names and shapes. The tensors are views of theirs where that is possible."""
        state = {name: tensor for name, tensor in state.items() if not self.is_ignored(name)}
        state = self._without_tied(state)
        for theirs, between in self.stacked:
            state = _taken_apart(state, theirs, between) if between.blanks > theirs.blanks else _put_together(state, theirs, between)
        ours: State = {}
        for name, tensor in state.items():
            for new, part in self._part_names(name, tensor):
                if new in ours:
                    raise CheckpointError(f"two tensors become '{new}', one of them from '{name}': the layout is ambiguous")
                ours[new] = part
        return ours

    def _part_names(self, name: str, tensor: Tensor) -> list[tuple[str, Tensor]]:
        for theirs, fusion in self.fused:
            if found := theirs.match(name):
                names = [Template(part).fill(*found) for part in fusion.parts]
                return list(zip(names, fusion.split(name, self._turned(names[0], tensor)), strict=True))
        new = self.our_name(name)
        if self.their_name(new) != name:
            raise ValueError(f"the layout is ambiguous: '{name}' of theirs becomes '{new}', which goes back to '{self.their_name(new)}'")
        return [(new, self._turned(new, tensor))]

    def our_name(self, name: str) -> str:
        """Our name for one of their tensors, by the pairs alone."""
        return next((ours.fill(*found) for ours, theirs in self.pairs if (found := theirs.match(name))), name)

    def _without_tied(self, state: State) -> State:
        kept = dict(state)
        for second, first in self.tied:
            for name in list(kept):
                if (found := second.match(name)) is None or (holder := first.fill(*found)) == name:
                    continue
                if holder not in state:
                    kept[holder] = kept.pop(name)  # a file may keep either of the two names
                elif state[name].shape == state[holder].shape and (state[name] is state[holder] or state[name].is_meta or torch.equal(state[name], state[holder])):
                    del kept[name]
                else:
                    raise CheckpointError(f"'{name}' and '{holder}' should hold the same tensor, but differ: this model ties them")
        return kept

    # From ours to theirs

    def to_theirs(self, state: Mapping[str, Tensor]) -> State:
        """Our state dict under their names and shapes: the exact inverse of `to_ours`, without what is ignored."""
        rest = dict(state)
        theirs: State = {}
        for their_template, fusion in self.fused:
            first, *others = (Template(part) for part in fusion.parts)
            for name in list(rest):
                if (found := first.match(name)) is None:
                    continue
                names = [name, *(other.fill(*found) for other in others)]
                if absent := [part for part in names if part not in rest]:
                    raise CheckpointError(f"'{their_template.fill(*found)}' is made of {', '.join(names)}; {', '.join(absent)} is missing")
                whole = torch.cat([rest.pop(part) for part in names], dim=fusion.dim)
                theirs[their_template.fill(*found)] = self._turned(name, whole)
        for name, tensor in rest.items():
            theirs[self.their_name(name)] = self._turned(name, tensor)
        for stacked, between in reversed(self.stacked):
            theirs = _put_together(theirs, between, stacked) if between.blanks > stacked.blanks else _taken_apart(theirs, between, stacked)
        for second, first in self.tied:
            for name in list(theirs):
                if found := first.match(name):
                    theirs[second.fill(*found)] = theirs[name]
        return theirs

    def their_name(self, name: str) -> str:
        """Their name for one of our tensors, by the pairs alone."""
        return next((theirs.fill(*found) for ours, theirs in self.pairs if (found := ours.match(name))), name)

    def is_ignored(self, name: str) -> bool:
        """Whether a name of theirs carries no weights."""
        return any(template.match(name) for template in self.ignored)

    def _turned(self, our_name: str, tensor: Tensor) -> Tensor:
        turned = tensor.dim() >= 2 and any(template.match(our_name) for template in self.transposed)
        return tensor.mT if turned else tensor


def _taken_apart(state: State, one: Template, many: Template) -> State:
    """Every tensor (n, ...) named ``one`` becomes n tensors named ``many``, whose last blank is the index."""
    apart: State = {}
    for name, tensor in state.items():
        if found := one.match(name):
            blanks, rest = found
            apart |= {many.fill([*blanks, str(index)], rest): part for index, part in enumerate(tensor.unbind(0))}
        else:
            apart[name] = tensor
    return apart


def _put_together(state: State, many: Template, one: Template) -> State:
    """The inverse of `_taken_apart`: the tensors of one name and index 0, 1, ... are stacked in that order."""
    together: State = {}
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if found := many.match(name):
            blanks, rest = found
            groups.setdefault(one.fill(blanks[:-1], rest), {})[blanks[-1]] = tensor
        else:
            together[name] = tensor
    for name, parts in groups.items():
        indices = [str(index) for index in range(len(parts))]
        if set(parts) != set(indices):
            raise CheckpointError(f"'{name}' is stacked of {len(parts)} tensors, but their numbers are {some(sorted(parts))}, not 0 to {len(parts) - 1}")
        together[name] = torch.stack([parts[index] for index in indices])
    return together
