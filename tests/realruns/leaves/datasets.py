"""A data set from a CSV file, its cache beside it, and its copy on disk."""

from pathlib import Path

from datasets import load_dataset

Path("rows.csv").write_text("a,b\n" + "1,2\n" * 20)
rows = load_dataset("csv", data_files="rows.csv", cache_dir="hf_cache")["train"]
rows.map(lambda row: {"c": row["a"] + 1}).save_to_disk("prepared")
