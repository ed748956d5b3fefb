"""Losses: one number that says how wrong a prediction is, in nats where it is a log-likelihood.

    mse                  mean (ŷ − y)²                               regression; −log-likelihood of Gaussian noise, scaled
    cross_entropy        −log softmax(z)[y]                          one class of K; −log-likelihood of the right one
    binary_cross_entropy −y log σ(z) − (1 − y) log(1 − σ(z))         yes or no, for each number by itself
    focal                (1 − p_y)^γ · cross entropy                 many easy examples (Lin et al. 2017, eq. 4)
    info_nce             cross entropy of "which one is my pair?"    contrastive learning (van den Oord et al. 2018, eq. 4)
    kl_divergence        Σ p (log p − log q)                         how many nats q wastes on data from p

Whatever needs a probability takes logits z: log softmax(z) = z − logsumexp(z) stays finite where log(softmax(z)) is log 0.
The gradient of both cross entropies with respect to the logits is p − y, p the softmax or the sigmoid: as large as the
mistake. The squared error of a sigmoid has p (1 − p) as a factor more, and so learns least where it is most wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from viva.nn.shapes import expect_floating, expect_shape, expect_tensor, written

REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum, "none": lambda losses: losses}


def _reduction(name: str) -> Callable[[Tensor], Tensor]:
    if name not in REDUCTIONS:
        raise ValueError(f"a loss got reduction={name!r}, expected one of {', '.join(map(repr, REDUCTIONS))}.")
    return REDUCTIONS[name]


def _expect_same_shape(who: str, predictions: Tensor, targets: Tensor) -> None:
    expect_tensor(who, predictions)
    expect_tensor(f"{who}'s targets", targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            f"{who} got predictions of shape {written(predictions.shape)} and targets of shape {written(targets.shape)}: "
            "they must agree, for broadcasting would compare every prediction with every target."
        )


def mse(predictions: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    """Mean squared error, (ŷ − y)² averaged over every number. ValueError unless both have one shape."""
    _expect_same_shape("mse", predictions, targets)
    expect_floating("mse", predictions)
    expect_floating("mse", targets)
    return _reduction(reduction)((predictions - targets).square())


def cross_entropy(
    logits: Tensor, targets: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """−Σ_k w_k q_k log softmax(logits)_k, with q = (1 − ε) one-hot(target) + ε / K for label_smoothing ε.

    logits: (N, K) or (N, K, ...); targets: (N,) or (N, ...) class indices of int64, or probabilities of the logits' shape.
    weight: (K,). Targets equal to `ignore_index` count neither in the sum nor in the mean; "mean" divides by the sum of the
    counted targets' weights (not by N; with probabilities as targets it is N), and is nan when nothing counts. Smoothing:
    Szegedy et al. 2016, section 7. ValueError for shapes that do not fit, ε outside [0, 1] and, on the CPU, a class outside
    [0, K); TypeError for targets of another dtype.
    """
    _reduction(reduction)
    expect_floating("cross_entropy", logits)
    expect_tensor("cross_entropy's targets", targets)
    if logits.dim() < 2:
        expect_shape("cross_entropy", logits, ("N", "K"))
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy got label_smoothing={label_smoothing}, expected 0 to 1.")
    num_classes = logits.shape[1]
    if weight is not None and weight.shape != (num_classes,):
        raise ValueError(
            f"cross_entropy got a weight of shape {written(weight.shape)}, expected one for each class: ({num_classes},)."
        )
    if targets.is_floating_point():
        _expect_same_shape("cross_entropy", logits, targets)
    elif targets.dtype != torch.int64:
        raise TypeError(
            f"cross_entropy got targets of {targets.dtype}, expected class indices of torch.int64: "
            "convert them with .long()."
        )
    elif targets.shape != logits.shape[:1] + logits.shape[2:]:
        expected = written(logits.shape[:1] + logits.shape[2:])
        raise ValueError(
            f"cross_entropy got targets of shape {written(targets.shape)} for logits of shape {written(logits.shape)}, "
            f"expected {expected}: the classes are axis 1 of the logits."
        )
    try:
        return F.cross_entropy(
            logits, targets, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
        )
    except IndexError:  # the CPU's kernel found a class that is none
        outside = targets[((targets < 0) | (targets >= num_classes)) & (targets != ignore_index)]
        raise ValueError(f"target {int(outside[0])} is outside the {num_classes} classes of the logits.") from None


def explained_cross_entropy(
    logits: Tensor, targets: Tensor, weight: Tensor | None = None, label_smoothing: float = 0.0, ignore_index: int = -100
) -> Tensor:
    """`cross_entropy` of (N, K) logits and (N,) class indices, line by line; its mean, ()."""
    num_classes = logits.shape[1]
    weight = logits.new_ones(num_classes) if weight is None else weight
    counted = targets != ignore_index  # (N,)
    classes = torch.where(counted, targets, 0)  # any class: it will not count
    log_probabilities = logits - logits.logsumexp(1, keepdim=True)  # (N, K)
    one_hot = F.one_hot(classes, num_classes).to(logits.dtype)  # (N, K)
    desired = (1 - label_smoothing) * one_hot + label_smoothing / num_classes
    losses = -(weight * desired * log_probabilities).sum(1)  # (N,)
    return (losses * counted).sum() / (weight[classes] * counted).sum()


def binary_cross_entropy(
    logits: Tensor, targets: Tensor, pos_weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """−[pos_weight · y log σ(z) + (1 − y) log(1 − σ(z))] for each number.

    Logits and targets have one shape, targets are floating point in [0, 1]. `pos_weight` broadcasts over the last axes:
    negatives / positives of a label balances it. ValueError for shapes that do not fit and, on the CPU, targets outside
    [0, 1]; TypeError for integer targets.
    """
    _expect_same_shape("binary_cross_entropy", logits, targets)
    expect_floating("binary_cross_entropy", logits)
    if not targets.is_floating_point():
        raise TypeError(
            f"binary_cross_entropy got targets of {targets.dtype}, expected floating point in [0, 1]: "
            "convert them with .to(logits.dtype)."
        )
    # Only on the CPU: to look at a number, a GPU would have to be waited for.
    if targets.device.type == "cpu" and targets.numel() and not torch.compiler.is_compiling():
        low, high = targets.detach().aminmax()
        if not (low >= 0 and high <= 1):
            raise ValueError(
                f"binary_cross_entropy got targets from {low.item():g} to {high.item():g}, expected probabilities in [0, 1]."
            )
    if pos_weight is not None:
        expect_tensor("binary_cross_entropy's pos_weight", pos_weight)
        last = zip(pos_weight.shape[::-1], logits.shape[::-1], strict=False)
        if pos_weight.dim() > logits.dim() or any(weights not in (1, size) for weights, size in last):
            raise ValueError(
                f"binary_cross_entropy got a pos_weight of shape {written(pos_weight.shape)} for logits of shape "
                f"{written(logits.shape)}: it has to broadcast over their last axes."
            )
    _reduction(reduction)
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=pos_weight, reduction=reduction)


def focal(
    logits: Tensor, targets: Tensor, gamma: float = 2.0, alpha: float | Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """α_y (1 − p_y)^γ · cross entropy: what the model knows already weighs little. γ = 0 is the cross entropy itself.

    Floating-point targets of the logits' shape: yes or no for each number, p_y = σ(±z), α for yes and 1 − α for no (a
    number; RetinaNet's is 0.25). Integer targets (N, ...) of logits (N, K, ...): one of K classes, α a weight for each
    class, (K,). "mean" is over every loss. Lin et al. 2017, eqs. 4 and 5. ValueError for γ < 0 and an α that does not fit.
    """
    if not gamma >= 0:
        raise ValueError(f"focal got gamma={gamma}, expected at least 0.")
    if isinstance(alpha, int | float) and not 0 <= alpha <= 1:
        raise ValueError(f"focal got alpha={alpha}, expected 0 to 1: the weight of yes, of which no gets the rest.")
    expect_tensor("focal's targets", targets)
    balance: Tensor | float = 1.0
    if targets.is_floating_point():
        surprise = binary_cross_entropy(logits, targets, reduction="none")  # −log p_y
        if alpha is not None:
            balance = alpha * targets + (1 - alpha) * (1 - targets)
    else:
        surprise = cross_entropy(logits, targets, reduction="none")  # (N, ...)
        if alpha is not None:
            if not isinstance(alpha, Tensor) or alpha.shape != (logits.shape[1],):
                given = written(alpha.shape) if isinstance(alpha, Tensor) else alpha
                raise ValueError(
                    f"focal got alpha={given} for class indices, expected a tensor with a weight for each class: "
                    f"({logits.shape[1]},)."
                )
            balance = alpha[targets]
    mistaken = -torch.expm1(-surprise)  # 1 − p_y, exact where p_y is nearly 1
    # Below γ = 1 the slope of mistaken^γ is infinite at 0, and infinite times nothing is nan: stay a hair above.
    focus = mistaken.clamp_min(torch.finfo(mistaken.dtype).tiny) ** gamma
    return _reduction(reduction)(balance * focus * surprise)


def info_nce(first: Tensor, second: Tensor, temperature: float | Tensor = 0.07, symmetric: bool = True) -> Tensor:
    """The cross entropy of finding each one's pair among the batch: first, second (N, d) -> a number.

    logits = cosine(first_i, second_j) / temperature, (N, N); the right answer of row i is i, the other N − 1 are its
    negatives. `symmetric` averages over both directions, as CLIP does (Radford et al. 2021, figure 3). log N − loss is a
    lower bound of the mutual information of the pairs (van den Oord et al. 2018, section 2.3): guessing costs log N, and
    no batch can prove more than log N nats. ValueError unless both are (N, d) of one shape and the temperature is above 0.
    """
    expect_shape("info_nce", first, ("N", "d"))
    _expect_same_shape("info_nce", first, second)
    expect_floating("info_nce", first, second)
    if not isinstance(temperature, Tensor) and not temperature > 0:  # a learned one lies where asking may cost a wait
        raise ValueError(f"info_nce got temperature={temperature}, expected a number above 0.")
    logits = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T / temperature  # (N, N)
    own = torch.arange(len(first), device=first.device)
    loss = F.cross_entropy(logits, own)
    return (loss + F.cross_entropy(logits.T, own)) / 2 if symmetric else loss


def kl_divergence(p_logits: Tensor, q_logits: Tensor, dim: int = -1, reduction: str = "mean") -> Tensor:
    """KL(p ‖ q) = Σ p (log p − log q) along `dim`, then reduced over what remains. In nats, ≥ 0, and 0 only for p = q.

    Both are logits or log-probabilities of one shape (softmax does not mind which); −∞ in p is a probability of 0, and
    adds 0. ValueError for two shapes, TypeError for integers.
    The direction matters: KL(p ‖ q) punishes q for missing what p does, KL(q ‖ p) for doing what p does not.
    `torch.nn.functional.kl_div(input, target)` is this with the arguments the other way round, KL(target ‖ input).
    """
    _expect_same_shape("kl_divergence", p_logits, q_logits)
    expect_floating("kl_divergence", p_logits)
    expect_floating("kl_divergence", q_logits)
    log_p, log_q = p_logits.log_softmax(dim), q_logits.log_softmax(dim)
    p = log_p.exp()
    losses = (p * (log_p - log_q).masked_fill(p == 0, 0.0)).sum(dim)
    return _reduction(reduction)(losses)
