"""Design the most sensitive one-bin reinterpretation of a multi-bin LHC search, with exact p-values."""
