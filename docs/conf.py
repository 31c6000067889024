"""The site that `make docs` makes of the repository's pages; docs/_toc.yml is its map."""

from importlib.metadata import version as installed

project = "fanin"
author = "fanin developers"
copyright = author
release = version = installed("fanin")

extensions = ["myst_nb", "sphinx_external_toc", "sphinx_copybutton"]
# The source folder is the root (`sphinx-build -c docs .`): links are those of the repository.
include_patterns = ["*.md", "docs/**", "bench/**/*.md"]
exclude_patterns = ["docs/_static"]
external_toc_path = "docs/_toc.yml"

# What GitHub makes of Markdown: nothing but CommonMark, tables, and its anchors of headings.
myst_enable_extensions: list[str] = []
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # docstrings start below the second level
nb_execution_mode = "off"  # tests/test_tutorial.py runs its cells
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"fanin {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["tablesort.min.js", "sort.js"]
html_extra_path = ["_static/index.html"]
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}
