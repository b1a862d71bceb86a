"""The one exception that means: the input is at fault, and the message says how to mend it."""


class UserError(Exception):
    """A mistake in what the user gave: one line naming the thing, the place and the remedy.

    The command line prints the message without a traceback and exits with status 2.
    """
