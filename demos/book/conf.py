"""Settings of Sphinx for the book."""

import chainrule

project = "chainrule"
author = "the chainrule authors"
copyright = "the chainrule authors, MIT licence"
release = version = chainrule.__version__
extensions = [
    "myst_nb",
    "sphinx.ext.mathjax",
]
html_theme = "furo"
html_title = "chainrule"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f6fb2", "color-brand-content": "#1f6fb2"},
    "dark_css_variables": {"color-brand-primary": "#7bb6ea", "color-brand-content": "#7bb6ea"},
}
html_static_path = ["static"]
html_css_files = ["book.css"]
default_role = "code"
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

# Every example runs while the book is built, and one that raises without saying so stops it.
nb_execution_mode = "force"
nb_execution_timeout = 300  # of one cell, beside a whole test suite
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "image/svg+xml", 0)]

linkcheck_timeout = 20
suppress_warnings = ["mystnb.unknown_mime_type"]
