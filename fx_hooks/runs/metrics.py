"""The figures that a run ended with: how they are called, and which of two is the better one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

_SMALLER = {
    "bpb", "bpc", "brier", "cer", "cost", "crossentropy", "eer", "err", "error", "errors",
    "fid", "loss", "losses", "lpips", "mae", "mape", "mse", "nll", "perplexity", "ppl",
    "regret", "rmse", "rmsle", "smape", "wer",
}  # fmt: skip
_LARGER = {
    "acc", "accuracy", "ap", "auc", "auprc", "auroc", "bleu", "dice", "f1", "iou", "jaccard",
    "kappa", "map", "mcc", "meteor", "miou", "mrr", "ndcg", "precision", "psnr", "r2",
    "recall", "return", "returns", "reward", "rouge", "sensitivity", "specificity", "ssim",
}  # fmt: skip
# `neg_mse` and `loss_reduction` are the better the larger they are.
_TURNED = {
    "delta", "diff", "gain", "improvement", "inv", "inverse", "minus", "neg", "negative",
    "reduction",
}  # fmt: skip
_PART = re.compile(r"[^\W_]+")
# Between `val` and `Loss`, `RMSE` and `Val`; where it is not meant so (`mIoU`), the part counts.
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*|[0-9]+")
# What W&B keeps of a metric in place of its last value, if it was told to.
_KEPT = ("best", "value", "last")


class Way(Enum):
    """The better one of two values, as people write it."""

    MIN = "min"
    MAX = "max"


class Best(NamedTuple):
    """A metric, and which of its values is the best."""

    metric: str
    way: Way


def direction(name: str) -> Way | None:
    """Return which way the metric *name* is better; None if no word, or two words, tell."""
    words = set()
    for word in (*_PART.findall(name), *_WORD.findall(name)):
        words |= {word.lower(), word.lower().rstrip("0123456789")}
    if words & _TURNED or bool(words & _SMALLER) == bool(words & _LARGER):
        return None
    return Way.MIN if words & _SMALLER else Way.MAX


def numbers(metrics: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers in *metrics* with their names, nested ones with dots in them."""
    if isinstance(metrics, Mapping):
        for key, inner in metrics.items():
            if not key.startswith("_"):  # W&B's own: step, runtime, timestamp
                yield from numbers(inner, f"{name}.{key}" if name else key)
    elif isinstance(metrics, (int, float)) and not isinstance(metrics, bool) and name:
        yield name, metrics


def value_of(metrics: Mapping[str, Any], metric: str, way: Way | None = None) -> float | None:
    """Return what *metrics* have for *metric*; a nested one is found by dots and by slashes."""
    found = {name: float(value) for name, value in numbers(metrics) if math.isfinite(value)}
    by_dots = {name.replace("/", "."): value for name, value in found.items()}
    first = "value" if way is None else way.value
    for name in (metric, *(f"{metric}.{kept}" for kept in (first, *_KEPT))):
        for names, wanted in ((found, name), (by_dots, name.replace("/", "."))):
            if wanted in names:
                return names[wanted]
    return None
