"""Recovering a whole console."""
