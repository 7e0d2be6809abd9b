"""What a search published and what a model predicts: frozen values, checked when they are made.

`search` and `signal` hold yields per bin, `covariance` and `correlations` how the backgrounds of bins vary together,
`aggregate` adds bins up. `grid` interpolates a signal over a plane of masses with `cross_sections`; `published` has the
limits and contours of a search. A `bundle` is a search with everything that belongs to it.
"""
