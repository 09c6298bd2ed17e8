"""What the tool does, without a terminal: values in, values out. Nothing here prints, asks, exits or reads the clock."""
