"""Documents that others write, read into the domain types: the READ room of superbin.

- `superbin.io.tables`: a search or a signal as text tables (the packaged form), read and written.
- `superbin.io.grids`: generated points of a signal and grids of them, read and written.
- `superbin.io.masses`, `superbin.io.cross_sections`: lists of points, and cross sections, of the user's own.
- `superbin.io.root`: a histogram of a ROOT file.
- `superbin.io.datacards`: CMS Combine counting datacards, with a lint report and explicit repairs.
"""
