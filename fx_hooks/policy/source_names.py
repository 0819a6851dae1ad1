"""The names of source files: a directory that holds one is a package, whatever its name."""

from __future__ import annotations

SOURCE_SUFFIXES = frozenset(
    b".bzl .c .cc .cjs .clj .cpp .cs .cu .cuh .cxx .dart .ex .exs .f90 .fs .go .h .hpp .hs .java"
    b" .jl .js .jsx .kt .lua .m .mjs .ml .php .pl .proto .py .pyi .pyx .r .R .rb .rs .scala .sh"
    b" .sol .svelte .swift .tf .ts .tsx .vue .zig".split()
)
SOURCE_NAMES = frozenset(
    b"BUILD BUILD.bazel CMakeLists.txt Cargo.toml Makefile go.mod package.json pom.xml"
    b" pyproject.toml setup.cfg".split()
)


def is_source(name: bytes) -> bool:
    """Return True if a file of that name makes its directory a package."""
    return name[name.rfind(b".") :] in SOURCE_SUFFIXES or name in SOURCE_NAMES
