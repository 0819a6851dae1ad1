"""Python's own caches, and those of the tools that test and check it; profiles."""

import cProfile
import subprocess
import sys
from pathlib import Path

Path("pkg").mkdir()
Path("pkg/__init__.py").write_text("")
Path("pkg/test_one.py").write_text("def test_one() -> None:\n    assert 1\n")
commands = (
    ("pytest", "-q", "--cov=pkg", "--cov-report=html", "--cov-report=xml", "pkg"),
    ("mypy", "pkg"),
    ("ruff", "check", "pkg"),
    ("compileall", "-q", "pkg"),
    ("venv", "--without-pip", "env"),
    ("build", "-n", "-s", "."),
)
Path("pyproject.toml").write_text(
    '[project]\nname = "pkg"\nversion = "1"\n[tool.setuptools]\npackages = ["pkg"]\n'
    '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
)
for command in commands:
    subprocess.run((sys.executable, "-m", *command), check=True)
with cProfile.Profile() as profile:
    sum(range(100))
profile.dump_stats("train.prof")
