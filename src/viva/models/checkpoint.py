"""Checkpoints: other people's weights in Viva's models, and back.

`load_checkpoint` reads a state dict, a ``.safetensors`` file, a folder of shards or a ``.pt`` file (weights only: nothing
in it is executed) into a model, after checking every name and shape; `save_checkpoint` writes one, whole or not at all.
Both speak other libraries' names through a `Layout` (`viva.models.layout`), of which a model class lists those it knows::

    model = resnet50()
    load_checkpoint(model, "resnet50-11ad3fa6.pth", "torchvision")      # ResNet.layouts["torchvision"]
    save_checkpoint(model, "resnet50.safetensors")                      # under Viva's own names
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from viva.models.layout import CheckpointError, Fused, Layout, State, some

__all__ = ["CheckpointError", "Fused", "Layout", "layout_of", "load_checkpoint", "read_checkpoint", "save_checkpoint"]


def load_checkpoint(model: nn.Module, source: Mapping[str, Tensor] | str | os.PathLike[str], layout: Layout | str | None = None) -> None:
    """Copies weights into ``model``, in its own dtype and on its own device.

    source: a state dict, a ``.safetensors`` file, a folder of them with an index, or a ``.pt`` file of tensors alone.
    layout: whose names it uses: a `Layout`, or one's name in ``model.layouts``; None for Viva's own.
    Raises CheckpointError, with the model as it was, where a name is missing or unexpected or a shape differs.
    """
    if not isinstance(source, Mapping | str | os.PathLike):
        raise TypeError(f"the source is of type {type(source).__name__}; expected a state dict or the path of a file or folder")
    where = "the state dict" if isinstance(source, Mapping) else str(source)
    state = source if isinstance(source, Mapping) else read_checkpoint(source)
    if strange := [str(name) for name, tensor in state.items() if not (isinstance(name, str) and isinstance(tensor, Tensor))]:
        raise CheckpointError(f"{where}: {len(strange)} entries are not tensors with a name: {some(strange)}")
    try:
        given = dict(state) if layout is None else layout_of(model, layout).to_ours(state)
    except CheckpointError as error:
        raise CheckpointError(f"{where}: {error}") from None
    own = model.state_dict(keep_vars=True)
    if meta := [name for name, tensor in own.items() if tensor.is_meta]:
        raise CheckpointError(f"the model has no memory yet ({meta[0]} is on the meta device): call model.to_empty(device='cpu') first")
    for name, tensor in own.items():
        if name.endswith("num_batches_tracked"):  # older than PyTorch 0.4.1, a checkpoint does not count its batches
            given.setdefault(name, torch.zeros_like(tensor))
    holders = {id(own[name]) for name in given if name in own}
    missing = [name for name, tensor in own.items() if name not in given and id(tensor) not in holders]
    unexpected = [name for name in given if name not in own]
    unfit = [
        f"{name} is {_kind(tensor)}, the model's {_kind(own[name])}"
        for name, tensor in given.items()
        if name in own and (tensor.shape != own[name].shape or tensor.is_floating_point() != own[name].is_floating_point())
    ]  # fmt: skip
    complaints = [f"{len(names)} {what}: {some(names)}" for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape or kind", unfit)) if names]
    if complaints:
        hint = "" if layout is not None or not unexpected or not getattr(model, 'layouts', {}) else f" Is it written in another library's names? Give layout=, one of {sorted(getattr(model, 'layouts', {}))}."
        raise CheckpointError(f"{where} does not fit {type(model).__name__}: {'; '.join(complaints)}.{hint}")
    with torch.no_grad():
        for name, tensor in given.items():
            own[name].copy_(tensor)


def save_checkpoint(model: nn.Module, path: str | os.PathLike[str], layout: Layout | str | None = None) -> None:
    """Writes the weights to ``path`` (``.safetensors``, or ``.pt``/``.pth``/``.bin``), in a layout's names if one is given.

    The file is whole or not there: it is written beside its place and then moved. Of tensors with two names a
    ``.safetensors`` file keeps the first, as the format wants it; `load_checkpoint` and other readers tie them again.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", *PICKLED):
        raise CheckpointError(f"{path}: the name must end in .safetensors, .pt, .pth or .bin")
    state = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    if layout is not None:
        state = layout_of(model, layout).to_theirs(state)
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; give the name of a file in it")
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror}); choose a folder that exists and may be written to") from None
    os.close(handle)
    try:
        if path.suffix == ".safetensors":
            save_file(_one_name_each(state), beside, metadata={"format": "pt"})
        else:
            torch.save({name: tensor.contiguous() for name, tensor in state.items()}, beside)
        with open(beside, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, path)
    except SafetensorError as error:  # how the package says that the disk is full
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise CheckpointError(f"{path}: could not be written ({error}); nothing was left there, so free some space and try again") from error
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def layout_of(model: nn.Module, layout: Layout | str) -> Layout:
    """The layout itself, or the one of that name among ``model.layouts``."""
    if isinstance(layout, Layout):
        return layout
    known: Mapping[str, Layout] = getattr(model, "layouts", {})
    if layout not in known:
        raise CheckpointError(f"{type(model).__name__} knows no layout '{layout}'; it knows {', '.join(sorted(known)) or 'none'}")
    return known[layout]


# Files

PICKLED = (".pt", ".pth", ".bin")
WRAPPERS = ("state_dict", "model", "model_state_dict")


def read_checkpoint(source: str | os.PathLike[str]) -> State:
    """The tensors of a file or a folder of shards, on the CPU. Nothing in a file is executed."""
    path = Path(source)
    if path.is_dir():
        return _read_folder(path)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    if not path.exists():
        raise CheckpointError(f"{path}: there is no such file or folder")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{path}: is not a readable safetensors file ({error})") from None
    if path.suffix in PICKLED:
        return _read_pickled(path)
    raise CheckpointError(f"{path}: expected .safetensors, .pt, .pth or .bin, an .index.json, or a folder")


def _read_pickled(path: Path) -> State:
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise CheckpointError(f"{path}: holds more than tensors, or is damaged; it is not loaded, because loading it could run code") from None
    except (RuntimeError, OSError, EOFError, ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError, RecursionError) as error:
        raise CheckpointError(f"{path}: is not a readable file of torch.save ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a state dict of names and tensors")
    if strange := [str(name) for name, tensor in content.items() if not (isinstance(name, str) and isinstance(tensor, Tensor) and tensor.layout is torch.strided)]:
        raise CheckpointError(f"{path}: {len(strange)} entries are not dense tensors with a name: {some(strange)}")
    return dict(content)


def _read_folder(folder: Path) -> State:
    for pattern in ("*.safetensors.index.json", "*.bin.index.json"):
        if indices := sorted(folder.glob(pattern)):
            if len(indices) > 1:
                raise CheckpointError(f"{folder}: has {len(indices)} indices ({some([index.name for index in indices])}); name the one to read")
            return _read_shards(indices[0])
    files = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", *PICKLED))
    whole = [path for path in files if path.suffix == ".safetensors"] or files
    if len(whole) != 1:
        raise CheckpointError(f"{folder}: expected an .index.json or one file of weights, found {len(whole)} files of weights")
    return read_checkpoint(whole[0])


def _read_shards(index: Path) -> State:
    """``{"weight_map": {tensor: file beside the index}}`` and the files it names."""
    try:
        content = json.loads(index.read_text("utf-8"))
        places = dict(content["weight_map"])
    except FileNotFoundError:
        raise CheckpointError(f"{index}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{index}: is not an index of shards: {type(error).__name__}: {error}") from None
    for place in places.values():
        # An index is somebody else's text: it may name files of its own folder, nothing else.
        if not isinstance(place, str) or Path(place).name != place or "\\" in place or place in ("", ".", "..") or place.endswith(".json"):
            raise CheckpointError(f"{index}: '{place}' is not the name of a file of weights in the same folder")
    state: State = {}
    for place in sorted(set(places.values())):
        shard = read_checkpoint(index.parent / place)
        wanted = [name for name, where in places.items() if where == place]
        if absent := [name for name in wanted if name not in shard]:
            raise CheckpointError(f"{index.parent / place}: {len(absent)} tensors that the index promises are not in it: {some(absent)}")
        state |= {name: shard[name] for name in wanted}
    return state


def _one_name_each(state: State) -> State:
    """Contiguous tensors, the first name of each: the safetensors format refuses two names for one memory."""
    kept: State = {}
    seen: set[tuple[Any, ...]] = set()
    for name, tensor in state.items():
        place = (tensor.device, tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if tensor.numel() and place in seen:
            continue
        seen.add(place)
        whole = tensor.contiguous()
        kept[name] = whole if whole.numel() == whole.untyped_storage().nbytes() // whole.element_size() else whole.clone()
    return kept


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _kind(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
