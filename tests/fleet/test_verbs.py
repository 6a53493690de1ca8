"""`verify`, `plan` and `prune` on many hosts: a row for each, what is wrong on those with problems, the worst code."""

from pathlib import Path

import pytest

from tests.fleet.test_pull import listed
from tests.lab.fleet import Fleet, nothing_left
from tests.lab.images import push_image
from tests.lab.program import Program
from tests.lab.schemas import assert_fits


@pytest.fixture
def puller(fleet: Fleet, puller: Program, tmp_path: Path) -> Program:
    """Have a file that says that the fleet's registry has no TLS, and hosts without images."""
    for host in fleet.hosts:
        host.engine.wipe()
    config = tmp_path / "puller.toml"
    config.write_text(f'[registry."{fleet.registry_address}"]\ninsecure = true\n')
    puller.environment["PULLER_CONFIG"] = str(config)
    return puller


def test_verify_plan_and_prune_speak_of_each_host(fleet: Fleet, puller: Program) -> None:
    """Two hosts have both images, one has the first only, one is away; each tag is asked of the registry once."""
    kept, old = (push_image(fleet.registry, f"verbs/{name}").reference for name in ("kept", "old"))
    hosts, both = listed(fleet, puller.folder), puller.list(kept, old)
    for host, images in ((0, (kept, old)), (1, (kept, old)), (2, (kept,))):
        arguments = [word for image in images for word in ("--image", image)]
        assert puller.run("fleet", "pull", "--host", fleet.hosts[host].url, *arguments).code == 0
    away = fleet.hosts[3]
    away.kill_sshd()

    before = fleet.registry.log.read_text().count('"HEAD /v2/verbs/')
    run = puller.run("verify", both, "--hosts", hosts)
    assert fleet.registry.log.read_text().count('"HEAD /v2/verbs/') == before + 2
    lines = run.stdout.splitlines()
    assert run.code == 1, run.stderr
    assert [line.split() for line in lines[1:5]] == [
        ["host1", "ok", "2", "0"], ["host2", "ok", "2", "0"], ["host3", "problems", "2", "1"],
        ["host4", "unreachable", "-", "-"],
    ]  # fmt: skip
    assert f"host3: missing: {old}" in lines
    assert any(line.startswith("host4: ") and "no sshd answers at the port" in line for line in lines)
    assert lines[-1] == "4 hosts: 2 ok, 1 with problems, 1 unreachable"
    assert puller.run("verify", both, "--hosts", hosts, "--image", kept, "--group", "none").code == 2

    run = puller.run("verify", puller.list(kept, name="one.txt"), "--hosts", hosts, "--format", "json")
    assert (run.code, run.report["counts"]) == (3, {"reached": 3, "unreachable": 1}), run.stderr
    assert_fits(run.report, "hosts")

    run = puller.run("plan", both, "--hosts", hosts, "--format", "json")
    changes = {
        each["host"]: [image["change"] for image in each["result"]["images"]]
        for each in run.report["hosts"] if each["result"]
    }  # fmt: skip
    assert changes == {"host1": ["up_to_date"] * 2, "host2": ["up_to_date"] * 2, "host3": ["up_to_date", "would_pull"]}
    assert {image["host"] for image in run.report["hosts"][2]["result"]["images"]} == {"host3"}
    assert run.code == 3
    assert_fits(run.report, "hosts")

    one = puller.list(kept, name="one.txt")
    assert puller.run("prune", one, "--hosts", hosts).code == 2
    preview = puller.run("prune", one, "--hosts", hosts, "--dry-run")
    assert preview.stdout.count(f"can go: {old}") == 2
    prune = ("prune", one, "--hosts", hosts, "--yes", "--format", "json", "--until-free")
    run = puller.run(*prune, "1MB")
    stay = [each["result"] and [image["action"] for image in each["result"]["images"]] for each in run.report["hosts"]]
    assert stay == [["may_go", "stays"], ["may_go", "stays"], ["stays"], None], run.stderr
    run = puller.run(*prune, "900TB")
    assert_fits(run.report, "hosts")
    assert all(each["result"]["free_after"] > 1000 for each in run.report["hosts"][:3])
    gone = [each["result"] and [image["action"] for image in each["result"]["images"]] for each in run.report["hosts"]]
    assert (run.code, gone) == (3, [["removed", "stays"], ["removed", "stays"], ["stays"], None]), run.stderr
    assert [len(host.engine.images()) for host in fleet.hosts[:3]] == [1, 1, 1]
    assert all(nothing_left(host.address) for host in fleet.hosts)
