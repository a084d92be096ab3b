"""Builds the documentation's site: `make docs`.

The pages are Markdown as a forge shows it, with links from file to file. `pages` brings them
together and points the links to their places on the site. `navigation` reads docs/README.md, which
lists them all, and `versions` keeps the sites of several versions beside each other. Sphinx makes
the HTML; `conf.py` is its configuration.
"""
