"""Proxies by one set of rules for console, monitor and store, and TLS that says what is wrong with a certificate."""

import http.server
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from jitsu_backup.cli.app import App
from jitsu_backup.cli.unattended import monitor_at
from jitsu_backup.console import Console
from jitsu_backup.errors import BackupError, UsageError
from jitsu_backup.network import (
    UNKNOWN_ISSUER,
    proxy_for,
    read_certificates,
)
from jitsu_backup.store import open_store
from jitsu_backup.store.object_store import RETRY
from tests.certificates import make, make_all, tls_server
from tests.s3_server import BUCKET, ENVIRONMENT
from tests.serving import serving
from tests.support import FakeTime, cli, run

PROXY = {"HTTPS_PROXY": "http://proxy:3128", "HTTP_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3/8", True),
        ("https://11.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "1.2.3", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]", "[fd00::]/8", True),
        ("https://[fd00::1]:8443", "[fd00::1]", True),
        ("https://[fd00::1]:8443", "fd00::1", True),
        ("https://[fd00::1]:8443", "[fd00::1]:8443", True),
        ("https://[fd00::1]:8443", "[fd00::1]:443", False),
        ("https://[::ffff:10.1.2.3]", "10.0.0.0/8", True),
        ("https://a.example.com", "example.com", True),
        ("https://a.example.com", ".example.com", True),
        ("https://a.example.com", "*.example.com", True),
        ("https://example.com", ".example.com", True),
        ("https://badexample.com", "example.com", False),
        ("https://A.Example.COM", "EXAMPLE.com.", True),
        ("https://a.example.com", "x.example, a.example.com", True),
        ("https://a.example.com", "x.example a.example.com", True),
        ("https://a.example.com:8443", "example.com:8443", True),
        ("https://a.example.com", "example.com:443", True),
        ("http://a.example.com", "example.com:80", True),
        ("https://a.example.com:8443", "example.com:443", False),
        ("https://10.1.2.3:9000", "10.1.2.3:9000", True),
        ("https://10.1.2.3:9000", "10.0.0.0/8:9001", False),
        ("https://a.example.com", "*", True),
        ("https://a.example.com", "", False),
        ("https://a.example.com", ":", False),
        ("https://a.example.com", "[", False),
    ],
)
def test_no_proxy_holds_names_addresses_ranges_and_ports(url: str, no_proxy: str, direct: bool) -> None:
    expected = None if direct else "http://proxy:3128"
    assert proxy_for(url, {**PROXY, "NO_PROXY": no_proxy}) == expected
    assert proxy_for(url, {**PROXY, "no_proxy": no_proxy, "NO_PROXY": "*"}) == expected


@pytest.mark.parametrize(
    ("environment", "proxy"),
    [
        ({"HTTPS_PROXY": "proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy"}, "http://proxy"),
        ({"HTTPS_PROXY": "[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        ({"HTTPS_PROXY": "user:pass@proxy:3128"}, "http://user:pass@proxy:3128"),
        ({"HTTPS_PROXY": "https://proxy"}, "https://proxy"),
        ({"https_proxy": "lower", "HTTPS_PROXY": "upper"}, "http://lower"),
        ({"https_proxy": "", "HTTPS_PROXY": "upper"}, None),
        ({"ALL_PROXY": "all"}, "http://all"),
        ({"HTTPS_PROXY": "one", "ALL_PROXY": "all"}, "http://one"),
        ({"HTTP_PROXY": "other"}, None),
        ({}, None),
    ],
)
def test_a_proxy_may_be_written_without_scheme_and_the_lower_case_name_goes_first(
    environment: dict[str, str], proxy: str | None
) -> None:
    assert proxy_for("https://jitsu.example.com", environment) == proxy


def test_what_a_stranger_can_set_by_a_header_names_no_proxy() -> None:
    assert proxy_for("http://jitsu.example.com", {"HTTP_PROXY": "evil", "REQUEST_METHOD": "GET"}) is None
    assert proxy_for("http://jitsu.example.com", {"http_proxy": "x", "REQUEST_METHOD": "GET"}) == "http://x"


@pytest.mark.parametrize(
    "value", ["gopher://CANARY", "http://", "http://x:CANARY", "socks5://u:CANARY@x", "//", "["]
)
def test_what_is_no_proxy_is_refused_by_the_name_of_its_variable(value: str) -> None:
    with pytest.raises(UsageError, match="HTTPS_PROXY") as caught:
        proxy_for("https://jitsu.example.com", {"HTTPS_PROXY": value})
    assert "CANARY" not in str(caught.value)
    assert proxy_for("https://jitsu.example.com", {"HTTPS_PROXY": value, "NO_PROXY": "example.com"}) is None


# -- the same for all three ------------------------------------------------------------


@contextmanager
def recording(status: int = 403, body: bytes = b"") -> Iterator[tuple[int, list[str]]]:
    """Serve refusals while the context lasts; give the port, and what was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_CONNECT = do_GET  # noqa: N815  the library's names

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield server.server_port, asked


def app() -> App:
    return App({"quiet": True, "as_json": False, "verbose": False})


def ask_console(url: str, environment: Mapping[str, str], ca: Path | None = None) -> None:
    time = FakeTime()
    console = Console(
        url, "a:b", sleep=time.sleep, clock=time.clock, ca_bundle=None if ca is None else str(ca)
    )

    async def ask() -> None:
        async with console:
            await console.get("/api/version")

    run(ask())


def ask_store(url: str, environment: Mapping[str, str], ca: Path | None = None) -> None:
    bundle = None if ca is None else str(ca)
    run(open_store(f"s3://{BUCKET}", {**environment, "AWS_ENDPOINT_URL": url}, ca_bundle=bundle).names())


def ask_monitor(url: str, environment: Mapping[str, str], ca: Path | None = None) -> None:
    monitor_at(app(), url).start()


ASKING = pytest.mark.parametrize("ask", [ask_console, ask_store, ask_monitor])


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
    """Set the variables of a machine, and give them."""
    monkeypatch.setitem(RETRY, "max_retries", 0)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def of(url: str, **variables: str) -> dict[str, str]:
        environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": url, **variables}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return environment

    return of


@ASKING
@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False), ("127.0.0.0/8", True), ("127.0.0.1", True), ("127.0.0.1:{port}", True), ("127.0.0.1:1", False),
        ("*", True), ("10.0.0.0/8,example.com", False), ("[::1]", False),
    ],
)  # fmt: skip
def test_console_monitor_and_store_go_through_the_proxy_by_the_same_rules(
    no_proxy: str, direct: bool, ask: Callable[..., None], machine: Callable[..., dict[str, str]]
) -> None:
    with recording() as (port, asked), recording() as (proxy, through):
        url = f"http://127.0.0.1:{port}"
        environment = machine(url, HTTP_PROXY=f"127.0.0.1:{proxy}", NO_PROXY=no_proxy.format(port=port))
        with suppress(BackupError):
            ask(url, environment)
    assert (bool(asked), bool(through)) == (direct, not direct)


@ASKING
def test_an_empty_lower_case_name_means_no_proxy_for_all_three(
    ask: Callable[..., None], machine: Callable[..., dict[str, str]]
) -> None:
    with recording() as (port, asked), recording() as (proxy, through):
        url = f"http://127.0.0.1:{port}"
        environment = machine(url, HTTP_PROXY=f"http://127.0.0.1:{proxy}", http_proxy="")
        with suppress(BackupError):
            ask(url, environment)
    assert asked
    assert not through


def test_a_proxy_that_refuses_is_reported_as_the_proxy(machine: Callable[..., dict[str, str]]) -> None:
    with recording() as (proxy, through):
        machine("https://jitsu.example.com", HTTPS_PROXY=f"http://user:CANARY@127.0.0.1:{proxy}")
        with pytest.raises(BackupError, match="the proxy answers HTTP 403") as caught:
            ask_console("https://jitsu.example.com", {})
    assert len(through) == 1
    assert "CANARY" not in str(caught.value)


def told_by(ask: Callable[..., None], url: str, environment: Mapping[str, str]) -> str:
    """Return what is told where `ask` fails; what a monitor's failure says stands on standard error."""
    try:
        ask(url, environment)
    except BackupError as problem:
        return str(problem)
    return ""


@ASKING
@pytest.mark.parametrize(
    ("scheme", "status", "words"),
    [
        ("http", 407, "answers HTTP 407: it requires a user and password; write user:password@ before its name in HTTPS_PROXY"),
        ("https", 407, "answers HTTP 407: it requires a user and password; write user:password@ before its name in HTTPS_PROXY"),
        ("https", 403, ""),  # in clear nobody can tell it from an answer of the one that was asked
        ("https", 502, ""),
    ],
)  # fmt: skip
def test_a_proxy_that_answers_in_the_place_of_another_is_reported_as_the_proxy_with_what_to_do(
    scheme: str, status: int, words: str, ask: Callable[..., None], machine: Callable[..., dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with recording(status) as (proxy, _):
        url = f"{scheme}://jitsu.example.com"
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), f"http://user:CANARY@127.0.0.1:{proxy}")
        told = told_by(ask, url, machine(url, **proxies)) + capsys.readouterr().err
    assert f"the proxy {words}" in told
    assert "CANARY" not in told
    assert told.count("\n") <= 1


# -- certificates ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_all(folder)
    return folder


WRONG = pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (
            "expired",
            "its TLS certificate has expired; renew the certificate, or correct this machine's clock",
        ),
        ("future", "its TLS certificate is not valid yet; correct this machine's clock, or wait"),
        ("name", "its TLS certificate is for another name; use the name in the certificate"),
        ("issuer", UNKNOWN_ISSUER),
    ],
)


@WRONG
@pytest.mark.parametrize("ask", [ask_console, ask_store])
def test_what_is_wrong_with_a_certificate_is_reported_with_what_to_do(
    certificate: str,
    words: str,
    ask: Callable[..., None],
    certificates: Path,
    machine: Callable[..., dict[str, str]],
) -> None:
    with tls_server(certificates / f"{certificate}.pem") as url, pytest.raises(BackupError) as caught:
        ask(url, machine(url), certificates / "ca.pem")
    assert str(caught.value).endswith(f": {words}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ask", [ask_console, ask_store])
def test_a_certificate_that_is_right_is_trusted_wherever_its_issuer_stands_in_the_bundle(
    ask: Callable[..., None], certificates: Path, tmp_path: Path, machine: Callable[..., dict[str, str]]
) -> None:
    bundle = tmp_path / "bundle.pem"
    names = ("stranger.pem", "ca.pem")
    bundle.write_text(
        "# unsere Zertifikate, geprüft\n" + "\n".join((certificates / n).read_text() for n in names)
    )
    with tls_server(certificates / "good.pem") as url, pytest.raises(BackupError) as caught:
        ask(url, machine(url), bundle)
    assert "TLS" not in str(caught.value)


@pytest.mark.parametrize("ask", [ask_console, ask_store])
def test_tls_to_a_server_without_it_is_reported(
    ask: Callable[..., None], machine: Callable[..., dict[str, str]]
) -> None:
    with recording() as (port, _):
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(BackupError, match="does not speak TLS; try http:// instead of https://"):
            ask(url, machine(url))


@pytest.mark.parametrize("ask", [ask_console, ask_store])
def test_a_request_in_clear_to_a_server_that_speaks_tls_is_reported(
    ask: Callable[..., None], certificates: Path, machine: Callable[..., dict[str, str]]
) -> None:
    with tls_server(certificates / "good.pem") as url:
        told = told_by(ask, url.replace("https", "http"), machine(url.replace("https", "http")))
    assert "https:// instead of http://" in told


@pytest.mark.parametrize("ask", [ask_console, ask_store])
def test_an_answer_that_asks_for_tls_is_reported(
    ask: Callable[..., None], machine: Callable[..., dict[str, str]]
) -> None:
    with recording(400, b"Client sent an HTTP request to an HTTPS server.\n") as (port, _):
        url = f"http://127.0.0.1:{port}"
        told = told_by(ask, url, machine(url))
    assert told.endswith(": speaks TLS; write https:// instead of http://")


def test_a_certificate_of_a_ca_that_a_server_shows_is_reported_by_the_store(
    certificates: Path, machine: Callable[..., dict[str, str]]
) -> None:
    told = pytest.raises(BackupError, match="its TLS certificate is that of a CA, not of a server")
    with tls_server(certificates / "self.pem") as url, told:
        ask_store(url, machine(url), certificates / "self.pem")


@WRONG
def test_a_monitor_that_was_not_told_says_what_is_wrong_with_its_certificate(
    certificate: str, words: str, certificates: Path, machine: Callable[..., dict[str, str]],
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with tls_server(certificates / f"{certificate}.pem") as url:
        machine(url, SSL_CERT_FILE=str(certificates / "ca.pem"))
        ask_monitor(url, {})
    assert words in capsys.readouterr().err


def test_a_bundle_that_is_none_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    made, _ = make(tmp_path / "ca.pem")
    (tmp_path / "der").write_bytes(made.public_bytes(Encoding.DER))
    (tmp_path / "empty").write_bytes(b"\n")
    (tmp_path / "text").write_bytes(b"hello")
    damaged = (tmp_path / "ca.pem").read_text().replace("MII", "AAA", 1).replace("MIG", "AAA", 1)
    (tmp_path / "damaged").write_text(damaged)
    whole = (tmp_path / "ca.pem").read_text()
    (tmp_path / "cut").write_text("-----BEGIN CERTIFICATE-----\nxxx")
    (tmp_path / "last cut").write_text(whole + "-----BEGIN CERTIFICATE-----\nMII")
    (tmp_path / "first cut").write_text("-----BEGIN CERTIFICATE-----\nMII\n" + whole)
    words = {
        "der": "it is in DER format", "empty": "the file is empty", "text": "it has no certificate in PEM format",
        "damaged": "a certificate in it is damaged", "cut": "a certificate in it is damaged",
        "first cut": "a certificate in it is damaged", "last cut": "a certificate in it is damaged", "gone": "no such file or directory", ".": "is a directory",
    }  # fmt: skip
    for name, what in words.items():
        with pytest.raises(UsageError, match=what) as caught:
            read_certificates(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
    for command in (("check", "acme"), ("snapshots",)):
        env = {
            "JITSU_APIKEY": "a:b",
            "JITSU_HOST": "https://127.0.0.1:9",
            "JITSU_BACKUP_STORE": "s3://b",
            **ENVIRONMENT,
        }
        done = cli("--ca-bundle", "der", *command, env=env, cwd=tmp_path)
        assert done.returncode == 2
        assert "CA bundle der: it is in DER format" in done.stderr
