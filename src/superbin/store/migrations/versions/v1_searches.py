"""Version 1: searches and signals. Its tables were made before there were migrations, so nothing leads to it."""

revision = "1"
down_revision = None
