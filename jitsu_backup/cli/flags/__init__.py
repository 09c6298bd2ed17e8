"""What click has to know of each command: arguments, flags, help and completion. Its body is loaded when it runs."""
