"""A study in a data base, and one in a journal; the sampler as a pickle."""

import pickle
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def goal(trial):
    return trial.suggest_float("x", -1, 1) ** 2


for storage in ("sqlite:///example.db", JournalStorage(JournalFileBackend("journal.log"))):
    study = optuna.create_study(study_name="demo", storage=storage)
    study.optimize(goal, n_trials=3)
Path("sampler.pkl").write_bytes(pickle.dumps(study.sampler))
