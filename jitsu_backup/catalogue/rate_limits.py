"""A console's rate limits, and the pace at which requests keep within them: the gate keeps it, forecasts count with it."""

PER_MINUTE = {"GET": 600, "POST": 120, "PUT": 120, "DELETE": 60}
"""How many requests per minute a console of 2026 accepts from a key, by method [limits/429, limits/other-bucket-still-open].

A console of 2024 has no limit.
"""

WINDOW = 60.0
"""Seconds over which the console counts requests [limits/429]."""

WORKSPACES_AT_ONCE, WORKSPACE_WINDOW = 2, 300.0
"""How many workspaces a key can create at once, and the seconds over which the console counts them.

[workspace/create-third-in-5-min]
"""

PACE_MARGIN = 1.02
"""By which factor requests are sent slower than the budget is restored, because clocks and rounding differ."""


def pace(limit: int, window: float, share: float = 1.0) -> float:
    """Return the seconds between two requests once a budget of `limit` requests per `window` seconds is used up.

    With a `share` below 1, only that share of the budget is spent. The window slides, so a request counts together with a
    whole window of earlier ones.
    """
    per_window = min(limit * share / PACE_MARGIN, limit - 1)
    return window / max(per_window, 1 / PACE_MARGIN)


def wait_for(requests: int, limit: int, window: float) -> tuple[float, float]:
    """Return the least and the most seconds until the last of some requests can be sent, with a budget that is unused.

    The budget is spent at once. The console's window ends at an unknown time, at most a window later, and only then the
    rest is sent at the pace.
    """
    if requests <= limit:
        return 0.0, 0.0
    paced = (requests - limit) * pace(limit, window)
    return paced, paced + window
