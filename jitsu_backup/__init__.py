"""Backup, cloning and disaster recovery for Jitsu workspaces."""

__version__ = "0.3.0"
