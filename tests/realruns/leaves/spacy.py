"""A classifier of texts, trained by the command line, and one that is saved by hand."""

import subprocess
import sys

import spacy
from spacy.tokens import DocBin

nlp = spacy.blank("en")
docs = DocBin()
for text, good in [("good", 1.0), ("bad", 0.0)] * 10:
    doc = nlp(text)
    doc.cats = {"GOOD": good, "BAD": 1 - good}
    docs.add(doc)
docs.to_disk("train.spacy")
commands = (
    ("init", "config", "-l", "en", "-p", "textcat", "config.cfg"),
    ("train", "config.cfg", "-o", "output", "--paths.train", "train.spacy", "--paths.dev",
     "train.spacy", "--training.max_epochs", "2"),
)  # fmt: skip
for command in commands:
    subprocess.run((sys.executable, "-m", "spacy", *command), check=True)
nlp.add_pipe("sentencizer")
nlp.to_disk("my_pipeline")
