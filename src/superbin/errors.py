"""Every error superbin raises on purpose.

All derive from `SuperbinError`, and each also is the builtin a Python user would expect, so both
``except SuperbinError`` and ``except ValueError`` work. The text is one line: the offending value, where it
is, the rule it breaks and what to do. The command line prints just that line and exits with code 2.
"""

from superbin._support.shown import readable

__all__ = [
    "ClusterError",
    "DatabaseError",
    "DocumentError",
    "InputError",
    "MissingDependencyError",
    "OutputError",
    "SuperbinError",
    "UnknownNameError",
]


class SuperbinError(Exception):
    """Base of every error raised on purpose.

    Its text hides passwords, is printable, and cuts long values: see `superbin._support.shown.readable`.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(readable(one) if isinstance(one, str) else one for one in arguments))


class InputError(SuperbinError, ValueError):
    """A value outside its domain, or of the wrong shape."""


class DocumentError(InputError):
    """A file or document whose content breaks its format; the text names the file and the place in it."""


class UnknownNameError(SuperbinError, LookupError):
    """A name that nothing bears; the text lists the nearest ones that exist."""


class OutputError(SuperbinError, OSError):
    """A place that cannot be written, or that holds something already."""


class DatabaseError(SuperbinError, RuntimeError):
    """A database that cannot be opened, is damaged, or has another schema."""


class MissingDependencyError(SuperbinError, ImportError):
    """An optional package that is not installed; the text says which extra brings it."""


class ClusterError(SuperbinError, ConnectionError):
    """Workers that cannot be reached, were lost or cannot do the work."""
