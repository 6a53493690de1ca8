"""What doctor says of an engine, from the engine's description of itself."""

from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from puller.doctor.engine import EngineChoice, EngineReply, examine_engine
from puller.engine.model import EngineInfo
from puller.settings import BackendChoice


@pytest.mark.parametrize(("identity", "file"), [("ID", "/etc/docker/daemon.json"), (None, "containers/storage.conf")])
def test_the_slowest_driver_is_changed_in_the_file_of_the_engine(identity: str | None, file: str) -> None:
    """Podman reads no daemon.json, and no service of Docker is restarted for it."""
    facts = EngineInfo(driver="vfs", identity=identity)
    reply: Future[EngineReply] = Future()
    reply.set_result(EngineReply("engine", facts, datetime.now(UTC)))
    found = {each.check: each for each in examine_engine(EngineChoice(BackendChoice.CLI, "podman"), reply, 1)}
    assert file in found["store"].fix
    assert ("systemctl restart docker" in found["store"].fix) == (identity is not None)
