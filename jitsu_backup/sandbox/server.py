"""A server for the sandbox."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import uvicorn

from jitsu_backup.errors import BackupError
from jitsu_backup.sandbox.app import Sandbox

READY_SECONDS = 20
GRACE_SECONDS = 1


def serve(sandbox: Sandbox, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, then return; call `on_ready` with the base URL once it listens.

    Raise BackupError if it cannot listen on the address.
    """
    listener = _listen(host, port)
    server = _Server(sandbox, lambda: on_ready(_url(listener)))
    # when it ends, uvicorn raises again the signals that stopped it
    with contextlib.suppress(KeyboardInterrupt), _ends_quietly(signal.SIGTERM), contextlib.closing(listener):
        asyncio.run(server.serve([listener]))


@contextlib.contextmanager
def running(sandbox: Sandbox) -> Iterator[str]:
    """Serve on a free loopback port in a separate thread while the context lasts; yield the base URL."""
    listener = _listen("127.0.0.1", 0)
    ready = threading.Event()
    server = _Server(sandbox, ready.set)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve_until_stopped(listener)), daemon=True)
    thread.start()
    if not ready.wait(READY_SECONDS):
        raise BackupError("the sandbox did not start")
    try:
        yield _url(listener)
    finally:
        server.stop()
        thread.join(READY_SECONDS)
        listener.close()


@contextlib.contextmanager
def _ends_quietly(number: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(number, before)


class _Server(uvicorn.Server):
    def __init__(self, sandbox: Sandbox, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            sandbox.app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=30, ws="none",
        )  # fmt: skip
        super().__init__(config)
        self._ready = ready
        self._stopped = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def serve_until_stopped(self, listener: socket.socket) -> None:
        """Serve until `stop` is called, then end at once. Uvicorn's own shutdown takes two tenths of a second."""
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self.serve([listener]))
        await self._stopped.wait()
        serving.cancel()
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                while self.server_state.connections:  # noqa: ASYNC110  uvicorn has no event for the end of one
                    await asyncio.sleep(0.002)

    def stop(self) -> None:
        """Stop the server, from any thread."""
        self._loop.call_soon_threadsafe(self._stopped.set)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables delays only for a socket declared as TCP; otherwise every answer takes 40 ms more
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as problem:
        listener.close()
        reason = getattr(problem, "strerror", None) or str(problem)
        raise BackupError(
            f"cannot listen on {host} port {port}: {reason.lower()}; choose another port with --port"
        ) from None
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
