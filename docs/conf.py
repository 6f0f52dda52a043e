"""Sphinx configuration: `make docs` builds with warnings as errors and without the network."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import trunkline

# the calls of the ladders are placed while Sphinx logs
logging.getLogger("trunkline").setLevel(logging.ERROR)

project = "trunkline"
author = "the trunkline authors"
copyright = "the trunkline authors"  # noqa: A001
release = version = trunkline.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "extension"]
exclude_patterns = ["_build"]
default_role = "code"
html_theme = "furo"
html_title = f"trunkline {release}"
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autoclass_content = "class"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
