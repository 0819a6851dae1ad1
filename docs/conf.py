"""Sphinx settings of the documentation: `sphinx-build -q -EWn docs build/site`."""

from __future__ import annotations

from fx_hooks import __version__

project = "fx-hooks"
author = "the fx-hooks developers"
release = version = __version__

extensions = ["myst_parser"]
# Links to headings, `page.md#heading`, are checked and resolve as they do on the forge.
myst_heading_anchors = 4
myst_linkify_fuzzy_links = False
# Commands and their output are coloured as such; what pages call them is plain everywhere.
highlight_language = "text"

html_theme = "furo"
html_title = "fx-hooks"
html_copy_source = False
html_show_sphinx = False
# All that the pages need comes from the site itself.
html_theme_options = {"source_repository": "", "top_of_page_buttons": []}
