"""An adapter of a tiny model, saved by itself and merged."""

from peft import LoraConfig, get_peft_model
from transformers import BertConfig, BertModel

config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1,
                    intermediate_size=8)  # fmt: skip
model = get_peft_model(BertModel(config), LoraConfig(target_modules=["query"], r=2))
model.save_pretrained("adapter")
model.merge_and_unload().save_pretrained("merged")
