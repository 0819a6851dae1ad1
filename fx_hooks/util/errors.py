"""The one exception for expected failures."""


class FatalError(Exception):
    """Something the user has to mend: one line that says what, where and what to do.

    Every command turns it into that line on standard error and exit code 2. Below it come
    *commands*, each in a line of its own, so that they can be copied whole.
    """

    def __init__(self, message: str, *commands: str) -> None:
        super().__init__(message)
        self.commands = commands
