"""`python -m jitsu_backup`."""

from jitsu_backup.cli import main

main()
