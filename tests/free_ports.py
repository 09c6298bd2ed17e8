"""Ports for the consoles of scripts, which start a while after their ports are chosen."""

import random
import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Return ports in a row that are free, below those that the system gives to whoever asks for any."""
    while True:
        first = random.randrange(20_000, 32_000)
        ports = list(range(first, first + count))
        with ExitStack() as held:
            try:
                for port in ports:
                    held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        return ports
