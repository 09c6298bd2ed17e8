"""Webhooks that misbehave: a message to them ends in time, with a reason, and goes nowhere else."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from jitsu_backup.operations import notifying
from jitsu_backup.operations.notifying import Message, NotSentError, address_of, send

MESSAGE = Message("subject", "text", "slack", {"summary": "text"})


@contextmanager
def webhook(*answers: bytes) -> Iterator[tuple[str, list[float]]]:
    """A server that gives each connection the next answer, the last one again and again, and when it was asked."""
    asked: list[float] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    asked.append(time.monotonic())
                    try:
                        connection.sendall(answers[min(len(asked), len(answers)) - 1])
                    except OSError:
                        continue

        Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/CANARY", asked


def reason(url: str) -> NotSentError:
    with pytest.raises(NotSentError) as caught:
        send(MESSAGE, address_of(url), {})
    assert "CANARY" not in str(caught.value)
    return caught.value


def answer(head: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("reply", "why", "no_answer"),
    [
        (b"", "cannot be reached; check its address", True),
        (b"HTTP/1.1 200", "cannot be reached; check its address", True),
        (answer("302 Found\r\nLocation: file:///etc/passwd"), "HTTP 302; check its address", False),
        (answer("302 Found\r\nLocation: http://169.254.169.254/"), "HTTP 302; check its address", False),
        (answer("410 Gone"), "HTTP 410; check its address", False),
        (answer("400 Bad Request"), "HTTP 400; for a Slack-compatible service, write slack:https://…", False),
    ],
)  # fmt: skip
def test_what_is_no_answer_or_a_refusal_is_said(reply: bytes, why: str, no_answer: bool) -> None:
    with webhook(reply) as (url, _):
        problem = reason(url)
    assert (str(problem), problem.no_answer) == (why, no_answer)


def test_a_long_reply_is_not_read() -> None:
    with webhook(answer("200 OK", b"x" * 10_000_000)) as (url, asked):
        send(MESSAGE, address_of(url), {})
    assert len(asked) == 1


def test_one_that_hangs_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        problem = reason(f"http://127.0.0.1:{silent.getsockname()[1]}/CANARY")
    assert time.monotonic() - began < 5
    assert (str(problem), problem.no_answer) == ("no answer within 0.2 s; check its address", True)


def test_one_that_asks_for_a_wait_is_given_it() -> None:
    with webhook(answer("429 Too Many Requests\r\nRetry-After: 1"), answer("200 OK")) as (url, asked):
        send(MESSAGE, address_of(url), {})
    assert asked[1] - asked[0] >= 1


@pytest.mark.parametrize("wanted", ["3600", "999999"])
def test_one_that_asks_for_a_long_wait_is_tried_no_more_by_this_run(wanted: str) -> None:
    with webhook(answer(f"429 Too Many Requests\r\nRetry-After: {wanted}")) as (url, asked):
        problem = reason(url)
    assert (str(problem), problem.no_answer, len(asked)) == (
        "its server limits the number of messages (HTTP 429)",
        True,
        1,
    )
