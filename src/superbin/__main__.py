"""``python -m superbin``: the command line."""

from superbin.cli import main

if __name__ == "__main__":
    main()
