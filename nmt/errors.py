"""The exceptions for errors that the user can fix."""


class UserError(Exception):
    """An error in the user's input: one line with the problem, its location and the remedy.

    The command line prints the message without a traceback and exits with status 2.
    """


class CombinationError(UserError):
    """Each setting is allowed, but not their combination; a sweep skips such a job."""
