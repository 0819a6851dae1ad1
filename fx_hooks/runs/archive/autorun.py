"""Names under which git, a shell, an editor or Python looks for what it then runs.

No run has them, but an archive from somebody else may. They count as the most forgiving file
system reads them: without case, with what HFS+ ignores, and with the ends that Windows drops.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

_NAMES = frozenset(
    name
    for names in (
        # version control, its hooks and its servers
        ".git .gitconfig .gitmodules .githooks .husky .lefthook .hg .hgrc .svn .bzr .jj",
        ".pre-commit-config.yaml .pre-commit-config.yml prek.toml .lefthook.yml lefthook.yml",
        ".github .gitlab-ci.yml .circleci",
        # shells, and what they, a terminal or a desktop read when they start
        ".profile .login .logout .bashrc .bash_profile .bash_login .bash_logout .bash_aliases",
        ".zshrc .zshenv .zprofile .zlogin .zlogout .kshrc .cshrc .tcshrc .inputrc .screenrc",
        ".tmux.conf .env .envrc .direnv .autoenv .autoenv.zsh .mise.toml mise.toml .config .local",
        ".xinitrc .xprofile .xsession .xsessionrc autorun.inf desktop.ini",
        # connections and keys
        ".ssh .rhosts .shosts .gnupg .aws .kube .docker .netrc .forward .procmailrc .curlrc",
        ".wgetrc _netrc",
        # editors and debuggers
        ".vscode .vs .idea .fleet .zed .cursor .devcontainer .devcontainer.json .exrc .vimrc",
        ".gvimrc .lvimrc .nvimrc .nvim.lua .vim .nvim .dir-locals.el .dir-locals-2.el .emacs",
        ".emacs.d .spacemacs .gdbinit .lldbinit _vimrc _gvimrc _exrc",
        # what editors start next to a file, and what names code for it
        ".pylintrc .pylintrc.toml .flake8 .mypy.ini .coveragerc .latexmkrc latexmkrc .clangd",
        ".eslintrc.js .eslintrc.cjs .prettierrc.js .prettierrc.cjs .babelrc.js",
        # Python, and tools that it is used with
        "sitecustomize usercustomize site-packages dist-packages conftest.py .pdbrc .pythonrc",
        ".pythonrc.py .pythonstartup .ipython .jupyter ipython_config.py",
        # other interpreters and package managers
        ".rprofile .renviron .irbrc .pryrc .npmrc .yarnrc .yarnrc.yml .octaverc .sqliterc .psqlrc",
    )
    for name in names.split()
)
_PATTERN = re.compile(
    r"git~\d+"  # as Windows also calls .git
    r"|(?:sitecustomize|usercustomize)\..*"  # source, compiled or a library
    r"|jupyter_(?:\w+_)?config\.(?:py|json)|.*\.(?:code-workspace|desktop|egg-link|_pth)",
    re.DOTALL,
)
# HFS+ ignores these in names.
_IGNORED = dict.fromkeys(
    [*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0xAD]
)


def runs_code(name: bytes) -> bool:
    """Return True if some program runs what it finds under *name*, one part of a path."""
    text = name.decode("utf-8", "surrogateescape").translate(_IGNORED)
    text = unicodedata.normalize("NFKC", text).casefold().partition(":")[0].rstrip(". ")
    return text in _NAMES or _PATTERN.fullmatch(text) is not None


def left_out(paths: Iterable[bytes]) -> Iterator[bytes]:
    """Those of *paths*, in the folder that they are relative to, that are not put back.

    Parents come before their children. What is below such a path is none either, and so is a
    folder that git takes for a repository, whatever its name.
    """
    listed = list(paths)
    repositories = _repositories(listed)
    refused: set[bytes] = set()
    known: dict[bytes, bool] = {}
    for path in listed:
        folder, _, name = path.rpartition(b"/")
        if name not in known:
            known[name] = bool(name) and runs_code(name)
        if folder in refused or known[name] or path in repositories:
            refused.add(path)
            yield path


def _repositories(paths: Iterable[bytes]) -> set[bytes]:
    """Return the folders below the top that git finds ``HEAD`` and its database in."""
    names: dict[bytes, set[bytes]] = {}
    for path in paths:
        folder, _, name = path.rpartition(b"/")
        lower = name.lower()
        if lower in (b"head", b"objects", b"refs", b"commondir"):
            names.setdefault(folder, set()).add(lower)
    return {folder for folder, found in names.items() if b"head" in found and len(found) > 1}
