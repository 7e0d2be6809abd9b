"""Many-channel counting likelihoods."""
