"""What click needs for each command: arguments, flags, help and completion. The body is loaded when it runs."""
