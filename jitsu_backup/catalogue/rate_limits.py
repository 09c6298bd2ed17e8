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

EXTRA_WAIT_SECONDS = 15.0
"""The most seconds that a rejected key waits beyond the required time, because others may spend the restored budget."""


def pace(limit: int, window: float, share: float = 1.0) -> float:
    """Return the seconds between two requests once a budget of `limit` requests per `window` seconds is used up.

    With a `share` below 1, only that share of the budget is spent. The window slides, so a request counts together with a
    whole window of earlier ones.
    """
    per_window = min(limit * share / PACE_MARGIN, limit - 1)
    return window / max(per_window, 1 / PACE_MARGIN)


def wait_for(requests: int, limit: int, window: float, *, spent: bool = False) -> tuple[float, float]:
    """Return the least and the most seconds until the last of some requests can be sent.

    The budget is sent at once. The console's window ends at an unknown time, at most a window later, and only then the rest
    is sent at the pace. With `spent`, an earlier run may have used up the budget: then the first request is rejected, and
    waits until few enough of the requests before it count. A rejected key waits longer than it must, and begins slowly.
    """
    paced = max(0, requests - limit) * pace(limit, window)
    if spent and requests:
        fading = window * 2 / (limit + 1)  # of what was sent in the window, and the rejected request
        return paced, window + fading + 2 * EXTRA_WAIT_SECONDS + (requests - 1) * pace(limit, window)
    return paced, paced + window if paced else 0.0
