"""A training of a tiny model that saves its steps, resumes, and saves itself."""

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                    intermediate_size=8)  # fmt: skip
rows = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor(0)}] * 8
trainer = Trainer(
    model=BertForSequenceClassification(config),
    args=TrainingArguments("results", save_steps=2, max_steps=4, logging_steps=1, use_cpu=True,
                           report_to=["tensorboard"], per_device_train_batch_size=2),
    train_dataset=rows, eval_dataset=rows,
)  # fmt: skip
result = trainer.train()
trainer.save_model("final")
trainer.save_metrics("train", result.metrics)
trainer.save_metrics("eval", trainer.evaluate())
trainer.save_state()
