"""The one exception that every rejected input raises."""


class FaninError(ValueError):
    """Input that fanin cannot use.

    The message names what was wrong (the parameter and its shape where there is one), the
    value received, the values allowed, and the next step. Nothing was changed: the call
    that raised it left models, arrays and files as they were.
    """
