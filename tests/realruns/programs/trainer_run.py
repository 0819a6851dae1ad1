"""A training of the Hugging Face Trainer: ``trainer_run.py WHAT``. Its model is tiny and random."""

import sys

import torch
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

(WHAT,) = sys.argv[1:]


class Ends(TrainerCallback):
    def on_save(self, args, state, control, **kwargs):  # noqa: ARG002
        if WHAT == "killed":
            print("logged", flush=True)
            input()
        if WHAT == "failed":
            raise ValueError("the loss is no number")


model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=4, n_embd=2, n_layer=1, n_head=1))
row = {"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor([1, 2, 3])}
trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir="results",
        max_steps=2,
        save_steps=1,
        logging_steps=1,
        per_device_train_batch_size=1,
        report_to=["tensorboard"] if WHAT == "tensorboard" else [],
        use_cpu=True,
    ),
    train_dataset=[row] * 2,
    callbacks=[Ends()],
)
trainer.train()
if WHAT == "saved":
    trainer.save_model()
    trainer.save_state()
