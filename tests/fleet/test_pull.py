"""`puller fleet pull` on hosts with addresses of their own, by ssh."""

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.conftest import environment
from tests.lab.fleet import Fleet, nothing_left
from tests.lab.images import family, push_image
from tests.lab.layers import layer_of
from tests.lab.process import wait_until
from tests.lab.program import Program, Run


def listed(fleet: Fleet, folder: Path) -> str:
    """Write a file of all hosts."""
    path = folder / "hosts.txt"
    path.write_text("".join(f"{host.url} name={host.name}\n" for host in fleet.hosts))
    return str(path)


def pull(puller: Program, hosts: str, *arguments: str) -> Run:
    """Run `puller fleet pull` with a JSON report."""
    return puller.run("fleet", "pull", "--format", "json", "--hosts", hosts, *arguments)


def states(run: Run) -> dict[str, Any]:
    """Return the state of each host."""
    return {host["name"]: host["state"] for host in run.report["fleet"]["hosts"]}


@pytest.fixture
def empty(fleet: Fleet) -> Fleet:
    """Hand over hosts whose engines have no image."""
    for host in fleet.hosts:
        host.engine.wipe()
    return fleet


def test_four_hosts_have_twenty_images_each(empty: Fleet, puller: Program) -> None:
    """All are there with the registry's digests; each host had one login, and no ssh is left."""
    pushed = family(empty.registry, 20, prefix="fleet/app")
    images = puller.list(*(image.reference for image in pushed))
    logins = [host.logins for host in empty.hosts]
    run = pull(puller, listed(empty, puller.folder), images, "-j", "5")
    assert (run.code, run.report["counts"]["pulled"]) == (0, 80), run.stderr
    assert [image["digest"] for image in run.images] == [image.digest for image in pushed] * 4
    assert [host.logins for host in empty.hosts] == [before + 1 for before in logins]
    assert [len(host.engine.images()) for host in empty.hosts] == [20] * 4
    assert all(nothing_left(host.address) for host in empty.hosts)


def test_a_host_that_is_lost_during_the_run_costs_no_other(empty: Fleet, puller: Program) -> None:
    """Its sshd and its link are gone while it pulls: it is unreachable, the others have everything."""
    pushed = family(empty.registry, 6, prefix="lost/app")
    images, runs = puller.list(*(image.reference for image in pushed)), list[Run]()
    lost, hosts = empty.hosts[1], listed(empty, puller.folder)
    before = lost.logins
    lost.shape("100kbit")
    try:
        thread = threading.Thread(target=lambda: runs.append(pull(puller, hosts, images, "--engine-wait", "2s")))
        thread.start()
        assert wait_until(lambda: lost.logins > before, 30)
        lost.set_link(up=False)
        lost.kill_sshd()
        thread.join()
    finally:
        lost.unshape()
    (run,) = runs
    assert (run.code, states(run)) == (
        3,
        {"host1": "done", "host2": "unreachable", "host3": "done", "host4": "done"},
    ), run.stderr
    gone = run.report["fleet"]["hosts"][1]
    # Before ssh notices that the host is gone, only its engine is seen not to answer.
    assert gone["error"]["kind"] in ("host_unreachable", "daemon_unreachable"), gone
    assert gone["counts"]["failed"] == 0
    assert {image["error"]["kind"] for image in run.images if image["error"]} == {gone["error"]["kind"]}
    assert all(nothing_left(host.address) for host in empty.hosts)


@pytest.mark.parametrize("how", [(), ("--feed",)], ids=["", "fed"])
def test_a_link_that_is_cut_during_a_pull_is_the_host_that_cannot_be_reached(
    empty: Fleet, tmp_path: Path, how: tuple[str, ...]
) -> None:
    """The pause and the report name the host and say what ssh says; its images are not pulled, and none has failed."""
    fast = empty.ssh("-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2")
    puller, lost, log = Program(tmp_path, environment(empty, fast)), empty.hosts[1], tmp_path / "log.txt"
    (tmp_path / "puller.toml").write_text(f'[registry."{empty.registry.address}"]\ninsecure = true\n')
    puller.environment |= {"PULLER_CONFIG": str(tmp_path / "puller.toml"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    images = puller.list(*(image.reference for image in family(empty.registry, 4, prefix="cut/app")))
    arguments = (images, "-vv", "--log-file", str(log), "--engine-wait", "4s", *how)
    runs = list[Run]()
    lost.shape("1mbit")
    try:
        thread = threading.Thread(target=lambda: runs.append(pull(puller, listed(empty, tmp_path), *arguments)))
        thread.start()
        assert wait_until(lambda: log.exists() and "starts  host2" in log.read_text(), 30)
        lost.set_link(up=False)
        thread.join()
    finally:
        lost.set_link(up=True)
        lost.unshape()
    (run,) = runs
    assert (run.code, states(run)["host2"]) == (3, "unreachable"), run.stderr
    gone = run.report["fleet"]["hosts"][1]
    assert gone["error"]["kind"] == "host_unreachable", run.stderr
    assert gone["error"]["message"].startswith("ssh: ")
    assert (gone["counts"]["failed"], gone["counts"]["cancelled"]) == (0, 4)
    assert "paused for 4.0s  host2  host unreachable (host_unreachable): ssh: " in run.stderr
    assert "failed  host2" not in run.stderr


def test_a_full_disk_of_one_host_fails_that_host_alone(empty: Fleet, puller: Program) -> None:
    """It has what fitted, its other images are not tried; the other hosts have everything."""
    large = layer_of("zeros", bytes(24 << 20))
    pushed = [push_image(empty.registry, f"full/app{at}", layers=[large] if at == 1 else ()) for at in range(4)]
    images, full = puller.list(*(image.reference for image in pushed)), empty.hosts[1]
    with full.small_disk(20):
        run = pull(puller, listed(empty, puller.folder), images, "-j", "1")
        assert [image["RepoTags"] for image in full.engine.images()] == [[pushed[0].reference]]
    assert (run.code, states(run)) == (1, dict.fromkeys(states(run), "done") | {"host2": "failed"}), run.stderr
    failed, *others = run.images[5:8]
    assert (failed["status"], failed["error"]["kind"]) == ("failed", "disk_full")
    assert [(each["status"], each["attempts"]) for each in others] == [("cancelled", 0)] * 2
    assert {each["error"]["message"] for each in others} == {failed["error"]["message"]}
    assert run.report["fleet"]["hosts"][1]["error"]["kind"] == "disk_full"
    assert run.report["counts"] | {"pulled": 13, "failed": 1, "cancelled": 2} == run.report["counts"]
    assert [len(host.engine.images()) for host in empty.hosts if host is not full] == [4] * 3


def test_two_logins_of_one_engine_are_one_pull(empty: Fleet, puller: Program) -> None:
    """The engine itself says which it is; both hosts have the image."""
    image, host = push_image(empty.registry, "same/app"), empty.hosts[0]
    urls = ("--host", host.url, "--host", f"{host.url.replace('root@', '')} name=again")
    run = puller.run("fleet", "pull", "--format", "json", "--image", image.reference, *urls)
    assert (run.code, run.report["counts"]["pulled"], run.report["counts"]["up_to_date"]) == (0, 1, 1), run.stderr
    assert "puller: the same engine: " in run.stderr
    assert {each["digest"] for each in run.images} == {image.digest}


def test_a_wrong_host_key_is_one_unreachable_host(empty: Fleet, puller: Program) -> None:
    """With the word for it."""
    image = push_image(empty.registry, "key/app").reference
    wrong = empty.hosts[2]
    wrong.kill_sshd()
    wrong.renew_key()
    wrong.start_sshd()
    run = pull(puller, listed(empty, puller.folder), "--image", image)
    assert (run.code, states(run)["host3"]) == (3, "unreachable"), run.stderr
    kinds = {host["error"]["kind"] for host in run.report["fleet"]["hosts"] if host["error"]}
    assert kinds == {"host_key"}


def test_a_failed_canary_means_no_login_on_any_other_host(empty: Fleet, puller: Program) -> None:
    """Nothing was asked of them."""
    logins = [host.logins for host in empty.hosts]
    run = pull(puller, listed(empty, puller.folder), "--image", f"{empty.registry_address}/no/such:1", "--canary", "1")
    assert run.code == 4, run.stderr
    assert [host.logins - before for host, before in zip(empty.hosts, logins, strict=True)] == [1, 0, 0, 0]
