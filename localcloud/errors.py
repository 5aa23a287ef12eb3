"""The one exception that the command line turns into a one-line message."""


class LocalCloudError(Exception):
    """Something the user can act on; its text says what is wrong and what to do next."""
