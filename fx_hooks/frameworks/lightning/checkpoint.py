"""The keys of a Lightning checkpoint that say how the model was made.

Source: ``dump_checkpoint`` in ``lightning/pytorch/trainer/connectors/checkpoint_connector.py``,
and ``CHECKPOINT_HYPER_PARAMS_KEY`` in ``lightning/pytorch/core/mixins/hparams_mixin.py``.
"""

FIGURES = ("epoch", "global_step")
CONFIG = "hyper_parameters"
WEIGHTS = "state_dict"
