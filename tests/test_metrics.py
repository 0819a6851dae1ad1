"""What a metric's name says, and where its value is found."""

from __future__ import annotations

import math

import pytest

from fx_hooks.runs.archive.listing import figures
from fx_hooks.runs.metrics import Way, direction, numbers, value_of


@pytest.mark.parametrize(
    ("way", "names"),
    [
        (Way.MIN, "loss val/loss val_loss val.loss valLoss eval-loss loss1 losses/kl WER eval/wer"),
        (Way.MIN, "cer RMSEVal test_rmse mse fid_score word_error top1_error nll val_ppl"),
        (
            Way.MAX,
            "acc answer_accuracy val/acc topAcc top5_acc f1 F1Score macro-f1 mAP map50-95 ap",
        ),
        (Way.MAX, "auroc valAUC mIoU recall@10 ndcg10 R2 episode_reward bleu"),
        # Words that only contain one, words that nobody knows, words against each other.
        (None, "confidence answer_score powerful lower masque merry officer fidelity glossy"),
        (None, "score epoch x throughput val/score acc_error loss/accuracy"),
        (None, "neg_mse neg_mean_squared_error inv_loss loss_reduction negativeLoss"),
    ],
)
def test_directions(way: Way | None, names: str) -> None:
    assert {name: direction(name) for name in names.split()} == dict.fromkeys(names.split(), way)


@pytest.mark.parametrize(
    ("metrics", "name", "value"),
    [
        pytest.param({"acc": 0.5, "a": {"acc": 0.1}}, "acc", 0.5, id="flat"),
        pytest.param({"val": {"acc": 0.5}}, "val.acc", 0.5, id="nested, by dots"),
        pytest.param({"val": {"acc": 0.5}}, "val/acc", 0.5, id="nested, by slashes"),
        pytest.param({"val/acc": 0.5}, "val/acc", 0.5, id="slashes"),
        pytest.param({"val/acc": 0.5}, "val.acc", 0.5, id="slashes by dots"),
        pytest.param({"val.acc": 0.5, "val/acc": 0.1}, "val.acc", 0.5, id="as it is called"),
        pytest.param({"val": {"sub/acc": 0.5}}, "val.sub/acc", 0.5, id="both"),
        pytest.param({"acc": {"max": 0.5, "min": 0.1}}, "acc", 0.5, id="what W&B kept"),
        pytest.param({"acc": {"max": 0.5, "min": 0.1}}, "acc.min", 0.1, id="said"),
        pytest.param({"acc": {"best": 0.5, "last": 0.1}}, "acc", 0.5, id="the best"),
        pytest.param({"acc": {"value": 1, "min": 0.1}}, "acc", 1.0, id="the value"),
        pytest.param({"acc": {"mean": 0.5}}, "acc", None, id="another"),
        pytest.param({"acc": "none"}, "acc", None, id="no number"),
        pytest.param({"acc": True}, "acc", None, id="a truth"),
        pytest.param({"acc": math.nan}, "acc", None, id="not finite"),
        pytest.param({}, "acc", None, id="nothing"),
    ],
)
def test_values(metrics: dict[str, object], name: str, value: float | None) -> None:
    assert value_of(metrics, name, Way.MAX) == value


def test_what_a_listing_shows_is_found() -> None:
    metrics = {"val": {"acc": 0.25, "deep": {"f1": 0.5}}, "train/loss": 2, "_step": 7}
    for word in figures(metrics).split(", "):
        name, _, value = word.rpartition(" ")
        assert value_of(metrics, name, Way.MIN) == float(value)
    assert dict(numbers(metrics)) == {"val.acc": 0.25, "val.deep.f1": 0.5, "train/loss": 2}
