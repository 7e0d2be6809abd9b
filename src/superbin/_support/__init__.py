"""Arrays, JSON and files: what every package uses and no user needs."""
