"""Sphinx's configuration of the site; `scripts/site/__main__.py` calls it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.site.navigation import sections

from tidings import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "tidings"
author = "The tidings authors"
release = version = __version__
html_title = "tidings"

extensions = ["myst_parser"]
exclude_patterns = ["_files"]
myst_heading_anchors = 4  # as a forge gives them to headings
myst_enable_extensions = ["attrs_inline"]
# An example that shows a part of a language's text, or a template of it, is no problem.
suppress_warnings = ["misc.highlighting_failure"]

highlight_language = "none"  # a block that names no language is a terminal, or an answer
pygments_dark_style = "github-dark"
smartquotes = False  # a quotation mark in a text may be one to type

html_theme = "furo"
html_static_path = ["theme/static"]
html_css_files = ["tidings.css"]
html_js_files = [("versions.js", {"defer": "defer"})]
templates_path = ["theme/templates"]
html_copy_source = True
html_show_copyright = False
html_last_updated_fmt = None
html_theme_options = {"top_of_page_buttons": ["view"]}
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "versions.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}


def _kinds(source: Path) -> dict[str, str]:
    found = sections((source / "index.md").read_text("utf-8"))
    return {entry.place: section.title for section in found for entry in section.entries}


def setup(app: Sphinx) -> None:
    """Let each page say which kind it is of."""
    kinds = _kinds(Path(app.srcdir))

    def add_kind(
        _app: Sphinx, page: str, _template: str, context: dict[str, Any], _tree: object
    ) -> None:
        above = f"{page.rpartition('/')[0]}/index"
        context["kind"] = kinds.get(page) or kinds.get(above, "")

    app.connect("html-page-context", add_kind)
