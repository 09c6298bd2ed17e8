"""Notifications, figures and exit code of a run: none of them changes another."""

from pathlib import Path

import pytest

from tests.unattended.workbench import Bench, monitor, samples

DEAD = "http://127.0.0.1:9/CANARY"


def ends(bench: Bench, *flags: str) -> tuple[int, str]:
    done = bench.run("backup", "acme-staging", "-q", "--notify-every", "0", *flags)
    return done.returncode, done.stderr


@pytest.mark.parametrize("taken", [True, False])
def test_figures_that_cannot_be_written_end_a_run_as_without_notifications(
    taken: bool, bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "not-figures").write_text("something else\n")
    metrics = ("--metrics", str(tmp_path / "not-figures"))
    code, said = ends(bench, *metrics)
    assert "contains no metrics, so it was not changed" in said
    with monitor() as (url, told):
        assert ends(bench, *metrics, "--notify", url if taken else DEAD, "--accept-shrink")[0] == code
        bench.forget("destination", 0)
        again, said = ends(bench, *metrics, "--notify", url if taken else DEAD)
    assert "contains no metrics, so it was not changed" in said
    assert again == 3
    assert bool(told) is taken


@pytest.mark.parametrize("shrinks", [False, True])
def test_the_figures_have_the_code_of_the_run_whatever_became_of_notifications(
    shrinks: bool, bench: Bench, tmp_path: Path
) -> None:
    path = tmp_path / "figures.prom"
    ends(bench)
    if shrinks:
        bench.forget("destination", 0)
    bench.state.objects["enrich-0001"].config["code"] = "of today"
    code, said = ends(bench, "--metrics", str(path), "--notify", DEAD)
    assert code == (3 if shrinks else 0)
    assert "could not be sent to" in said
    assert {one.value for one in samples(path) if one.name.endswith("exit_code")} == {float(code)}
