"""Likelihoods for other tools, from their descriptions: `hs3`, `histfactory`, `datacards`.

Each writer returns plain values or text, and says what its format cannot hold; nothing is approximated unsaid.
"""
