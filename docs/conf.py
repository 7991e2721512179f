"""Sphinx builds the site: `nox -s docs`. What the pages need beyond Sphinx stands in _sphinx/."""

import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_sphinx"))

_project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]

project = _project["name"]
author = _project["authors"][0]["name"]
project_copyright = author
release = version = _project["version"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "reference",  # writes the pages under reference/, before any page is read
    "names",  # resolves names in docstrings and signatures to what is documented
    "outside",  # links that lead out of docs/
    "llms_txt",
]
exclude_patterns = ["_build", "_sphinx"]

# A broken reference is an error: nox runs Sphinx with -W.
nitpicky = True
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"toggl_async {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
copybutton_exclude = ".linenos, .gp, .go"
