"""The generations of the console that the sandbox can imitate."""

from enum import StrEnum


class Generation(StrEnum):
    """A console's age, oldest first, as `--console` names it."""

    OCTOBER_2024 = "2024"
    JULY_2026 = "2026-07"
    NEWEST = "newest"

    @property
    def is_2024(self) -> bool:
        """Whether this is a console of October 2024, with four types of objects and neither roles nor masks."""
        return self is Generation.OCTOBER_2024

    @property
    def is_newest(self) -> bool:
        """Whether this is the console of autumn 2026, with models, reverse syncs and real statuses."""
        return self is Generation.NEWEST

    def includes(self, first: "Generation") -> bool:
        """Return whether a console of this generation has features that the generation `first` introduced."""
        order = list(Generation)
        return order.index(self) >= order.index(first)
