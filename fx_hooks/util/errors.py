"""The one exception for expected failures."""


class FatalError(Exception):
    """Something the user has to mend: one line that says what, where and what to do.

    Every command turns it into that line on standard error and exit code 2.
    """
