"""Viva's models against the peers' defaults: ``python benchmarks/models.py [--only resnet50,gpt2] [--threads 1,2] [--json FILE]``.

Both sides hold the same weights, see the same input and run in one process, turn about, so that a busy machine disturbs
both alike. For each model: seconds of the peer and of Viva (medians), and the median of the ratios of neighbouring runs,
peer / Viva: above 1 Viva is faster. With one thread the seconds are of CPU time, which other programs hardly disturb; with
more, and on a GPU, of the clock on the wall. Modes:

- ``default``  the model as built, float32, eager, against the peer as built;
- ``exact``    ``fast(model, exact=True)``: float32, batch norms folded, memory format by measurement;
- ``fast``     ``fast(model)``: bfloat16 too, where the machine has instructions for it;
- ``compiled`` ``fast(model, compile=True)``, with ``--compile`` only.

On a GPU (``--device cuda``) the peer's best setting is channels last, bfloat16 autocast and, with ``--compile``, torch.compile;
model FLOPs utilisation is 2 × multiply-adds (× 3 for a training step) / seconds / the card's dense bfloat16 peak (``--peak``).
Needs the extras ``workshop`` and ``parity`` and the transformers package.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from viva.models import catalogue
from viva.models.checkpoint import Layout, load_checkpoint
from viva.models.speed import fast, has_bfloat16
from viva.models.summary import mult_adds

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "workshop"))


@dataclass(frozen=True)
class Case:
    """One model and its peer: how to build both, what they are fed and how one number comes out for the backward pass."""

    name: str
    layout: str | Callable[[], Layout]  # what the peer calls its weights
    peer_name: str
    peer: Callable[[], nn.Module]
    inputs: Callable[[int], tuple[Tensor, ...]]
    batch: int
    train_batch: int
    output: Callable[[Any], Tensor] = lambda out: out
    peer_output: Callable[[Any], Tensor] = lambda out: out


def image(channels: int, size: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda batch: (torch.randn(batch, channels, size, size, generator=torch.Generator().manual_seed(0)),)


def tokens(vocabulary: int, length: int) -> Callable[[int], tuple[Tensor, ...]]:
    return lambda batch: (torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(0)),)


def _torchvision(name: str) -> nn.Module:
    import torchvision

    return getattr(torchvision.models, name)(weights=None)  # type: ignore[no-any-return]


def _timm(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False)  # type: ignore[no-any-return]


def _transformers(config: str, model: str) -> nn.Module:
    import transformers

    transformers.logging.set_verbosity_error()
    return getattr(transformers, model)(getattr(transformers, config)())  # type: ignore[no-any-return]


def _plain_unet() -> nn.Module:
    from test_models_unet import Drawn

    return Drawn()


def _plain_names() -> Layout:
    from test_models_unet import DRAWN

    return DRAWN


CASES = (
    Case("resnet50", "torchvision", "torchvision resnet50", lambda: _torchvision("resnet50"), image(3, 224), 8, 4),
    Case("mobilenet_v1", "timm", "timm mobilenetv1_100", lambda: _timm("mobilenetv1_100"), image(3, 224), 8, 4),
    Case("efficientnet_b0", "torchvision", "torchvision efficientnet_b0", lambda: _torchvision("efficientnet_b0"), image(3, 224), 8, 4),
    Case("vit_b_16", "torchvision", "torchvision vit_b_16", lambda: _torchvision("vit_b_16"), image(3, 224), 4, 2),
    Case(
        "bert_base", "transformers", "transformers BertForPreTraining", lambda: _transformers("BertConfig", "BertForPreTraining"),
        tokens(30522, 128), 4, 2, lambda out: out.mlm_logits, lambda out: out.prediction_logits,
    ),
    Case(
        "gpt2", "transformers", "transformers GPT2LMHeadModel", lambda: _transformers("GPT2Config", "GPT2LMHeadModel"),
        tokens(50257, 256), 4, 1, lambda out: getattr(out, "logits", out), lambda out: out.logits,
    ),
    Case("unet", _plain_names, "the paper's figure in plain torch.nn", _plain_unet, image(1, 572), 1, 1),
)  # fmt: skip
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L4": 121e12, "4090": 165e12}


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def race(peer: Callable[[], Any], ours: Callable[[], Any], rounds: int, device: str) -> dict[str, float]:
    """Medians of interleaved runs, and the median of the ratios of neighbours."""
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        order = ((0, peer), (1, ours)) if turn % 2 else ((1, ours), (0, peer))
        for which, call in order:
            synchronise(device)
            started = clock()
            call()
            synchronise(device)
            if turn:
                seconds[which].append(clock() - started)
    ratios = [a / b for a, b in zip(*seconds, strict=True)]
    return {"peer_s": statistics.median(seconds[0]), "viva_s": statistics.median(seconds[1]), "ratio": statistics.median(ratios)}


def training_step(model: nn.Module, inputs: tuple[Tensor, ...], output: Callable[[Any], Tensor], autocast: bool) -> Callable[[], None]:
    """Forward, mean of squares as the loss, backward, one SGD step."""
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-6)
    device = inputs[0].device.type

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            result = output(model(*inputs))
        result.float().square().mean().backward()
        optimiser.step()

    return step


def pair(case: Case, device: str) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    peer = case.peer().to(device)
    for parameter in peer.parameters():
        if not parameter.any():  # torchvision's ViT starts its head at 0, and everything would come out as 0
            nn.init.normal_(parameter, std=0.02)
    ours = catalogue.build(case.name)
    load_checkpoint(ours, peer.state_dict(), layout=case.layout() if callable(case.layout) else case.layout)
    return peer.eval(), ours.to(device).eval()


def measure(case: Case, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    device = arguments.device
    rows: list[dict[str, Any]] = []
    peer, ours = pair(case, device)
    inputs = tuple(tensor.to(device) for tensor in case.inputs(arguments.batch or case.batch))
    with torch.inference_mode():
        wanted, found = case.peer_output(peer(*inputs)), case.output(ours(*inputs))
    difference = float((wanted - found).abs().max() / wanted.abs().max())
    work = 2 * mult_adds(ours, *inputs)

    best_peer, peer_inputs, peer_context = peer, inputs, torch.autocast(device, torch.bfloat16, enabled=device == "cuda")
    if device == "cuda":
        best_peer = copy.deepcopy(peer).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        peer_inputs = tuple(t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t for t in inputs)
        if arguments.compile:
            best_peer.compile()

    def against(model: nn.Module, which: nn.Module, which_inputs: tuple[Tensor, ...], context: bool) -> dict[str, float]:
        def call_peer() -> None:
            with torch.inference_mode(), peer_context if context else torch.inference_mode():
                which(*which_inputs)

        def call_ours() -> None:
            with torch.inference_mode():
                model(*inputs)

        return race(call_peer, call_ours, arguments.rounds, device)

    modes: list[tuple[str, dict[str, Any]]] = [("exact", {"exact": True}), ("fast", {})]
    if arguments.compile:
        modes.append(("compiled", {"compile": True}))
    common = {"model": case.name, "peer": case.peer_name, "threads": torch.get_num_threads(), "work": "inference", "batch": inputs[0].shape[0]}
    rows.append({**common, "mode": "default", **against(ours, peer, inputs, False), "moves": difference})
    for mode, options in modes:
        if mode == "fast" and not has_bfloat16(torch.device(device)):
            continue  # the same as exact
        quick, report = fast(ours, *inputs, **options)
        row = against(quick, best_peer, peer_inputs, device == "cuda")
        rows.append({**common, "mode": mode, **row, "moves": report.change, "choices": report.choices})
        if device == "cuda":
            rows[-1]["utilisation"] = work / row["viva_s"] / arguments.peak
        del quick

    train_inputs = tuple(tensor.to(device) for tensor in case.inputs(arguments.train_batch or case.train_batch))
    common = {**common, "work": "training step", "batch": train_inputs[0].shape[0]}
    step = training_step(peer, train_inputs, case.peer_output, False)
    rows.append({**common, "mode": "default", **race(step, training_step(ours, train_inputs, case.output, False), arguments.rounds, device)})
    quick, report = fast(ours, *train_inputs, training=True, compile=arguments.compile and device == "cuda")
    if device == "cuda":
        best_peer.train()
        step = training_step(best_peer, train_inputs, case.peer_output, True)
    row = race(step, training_step(quick, train_inputs, case.output, False), arguments.rounds, device)
    rows.append({**common, "mode": "fast", **row, "choices": report.choices})
    if device == "cuda":
        rows[-1]["utilisation"] = 3 * work / len(inputs[0]) * len(train_inputs[0]) / row["viva_s"] / arguments.peak
    return rows


def measure_generation(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """GPT-2 small: greedy, 32 tokens of prompt, 64 new ones, cache on; tokens per second."""
    case = next(case for case in CASES if case.name == "gpt2")
    peer, ours = pair(case, arguments.device)
    prompt, new = tokens(50257, 32)(arguments.batch or 1)[0].to(arguments.device), 64

    def of_peer() -> Tensor:
        result: Tensor = peer.generate(  # type: ignore[operator]
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0, eos_token_id=None
        )
        return result

    def of_ours(model: Any) -> Tensor:
        result: Tensor = model.generate(prompt, max_new_tokens=new, temperature=0.0)
        return result

    same = bool((of_peer() == of_ours(ours)).all())
    rows = []
    quick, report = fast(ours, prompt)
    for mode, model in (("default", ours), ("fast", quick)):
        row = race(of_peer, lambda model=model: of_ours(model), max(3, arguments.rounds // 2), arguments.device)  # type: ignore[misc]
        produced = len(prompt) * new
        rows.append({
            "model": "gpt2", "peer": case.peer_name, "threads": torch.get_num_threads(), "work": "generation", "batch": len(prompt), "mode": mode, **row,
            "viva_tokens_per_s": produced / row["viva_s"], "peer_tokens_per_s": produced / row["peer_s"], "same_tokens": same,
            "choices": report.choices if mode == "fast" else [],
        })  # fmt: skip
    return rows


def line(row: dict[str, Any]) -> str:
    extra = f"  output moves {row['moves']:.0e}" if "moves" in row else ""
    if "viva_tokens_per_s" in row:
        extra = f"  {row['viva_tokens_per_s']:.1f} against {row['peer_tokens_per_s']:.1f} tokens/s, same tokens: {row['same_tokens']}"
    if "utilisation" in row:
        extra += f"  MFU {row['utilisation']:.0%}"
    return (
        f"{row['model']:16} {row['work']:14} batch {row['batch']:<4} threads {row['threads']:<3} {row['mode']:9}"
        f" peer {row['peer_s'] * 1e3:8.1f} ms  viva {row['viva_s'] * 1e3:8.1f} ms  ratio {row['ratio']:.2f}{extra}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of models, separated by commas; 'generation' too")
    parser.add_argument("--threads", default="", help="e.g. 1,2 (default: 1 and all)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--train-batch", type=int, default=0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--peak", type=float, default=0.0, help="the card's dense bfloat16 FLOP/s (known for some)")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    machine = platform.processor() or platform.machine()
    if arguments.device == "cuda":
        machine = torch.cuda.get_device_name()
        arguments.peak = arguments.peak or next((peak for key, peak in PEAKS.items() if key in machine), float("nan"))
    elif hasattr(torch.cpu, "get_capabilities"):
        machine = str(torch.cpu.get_capabilities().get("cpu_name", machine))
    everything = torch.get_num_threads()
    threads = [int(n) for n in arguments.threads.split(",")] if arguments.threads else sorted({1, everything})
    if arguments.device == "cuda":
        threads = [everything]
    wanted = set(arguments.only.split(",")) if arguments.only else {case.name for case in CASES} | {"generation"}
    if unknown := wanted - {case.name for case in CASES} - {"generation"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(case.name for case in CASES)} and generation")
    import torchvision
    import transformers

    settings = {
        "machine": machine, "bfloat16": has_bfloat16(torch.device(arguments.device)), "torch": torch.__version__, "torchvision": torchvision.__version__,
        "transformers": transformers.__version__, "python": platform.python_version(), "rounds": arguments.rounds, "threads": threads,
    }  # fmt: skip
    print(json.dumps(settings))
    rows: list[dict[str, Any]] = []
    for count in threads:
        torch.set_num_threads(count)
        for case in CASES:
            if case.name in wanted:
                new = measure(case, arguments)
                print(*map(line, new), sep="\n", flush=True)
                rows += new
                gc.collect()
        if "generation" in wanted:
            new = measure_generation(arguments)
            print(*map(line, new), sep="\n", flush=True)
            rows += new
    if arguments.json:
        arguments.json.write_text(json.dumps({"settings": settings, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
