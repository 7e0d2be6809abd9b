"""Documents that others write, read into the domain types: the reading side of superbin.

- `superbin.io.tables`: a search or a signal as text tables (the packaged form), read and written.
- `superbin.io.grids`: generated points of a signal and grids of them, read and written.
- `superbin.io.masses`, `superbin.io.cross_sections`: lists of points, and cross sections, of the user's own.
- `superbin.io.root`: histograms of ROOT files.
- `superbin.io.signals`: signals from arrays, histograms, tables, efficiency maps and trees of events; `superbin.io.expressions`
  reads selections of events.
- `superbin.io.datacards`: CMS Combine counting datacards, with a lint report and explicit repairs.
"""
