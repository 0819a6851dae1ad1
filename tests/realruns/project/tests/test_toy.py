from __future__ import annotations

from toyproject.fit import fit


def test_loss_goes_down() -> None:
    losses = [record.loss for record in fit(slope=0.5, lr=0.05, steps=3, seed=0)]
    assert losses == sorted(losses, reverse=True)
