"""How Sphinx builds these pages: ``make docs``."""

from __future__ import annotations

import xentropy

project = "xentropy"
author = "The xentropy authors"
copyright = author
release = version = xentropy.__version__

extensions = ["sphinx.ext.autosummary", "numpydoc"]
default_role = "py:obj"
templates_path: list[str] = []
exclude_patterns: list[str] = []

autosummary_generate = True
numpydoc_show_class_members = False
autodoc_typehints = "none"

html_theme = "alabaster"
html_theme_options = {"description": "Losses with one meaning on all arrays", "fixed_sidebar": True}
html_title = f"xentropy {release}"
html_show_sourcelink = False
