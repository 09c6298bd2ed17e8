"""Numbers as options take them, so that the message about a wrong value calls them by a plain name."""

import click


class Number(click.FloatRange):
    """A number within bounds."""

    name = "number"


class WholeNumber(click.IntRange):
    """A whole number within bounds."""

    name = "whole number"
