"""Results as one HTML page: summary, sortable tables, figures, and for scans a map that answers to the pointer.

The page is one file that needs no network: figures are embedded, its script is a few lines of plain JavaScript. Names are escaped.
It sees results only, as figures and papers do. Specified in ``specs/page.md``.
"""

from superbin.page.render import page, point_pages

__all__ = ["page", "point_pages"]
