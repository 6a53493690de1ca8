"""The plan of a pull: what it would do and cost, without pulling. The work of `puller plan`."""

from puller.engine.interface import Engine
from puller.imagelist.requests import RequestedImages
from puller.plan.disk import disk
from puller.plan.inventory import EngineInventory
from puller.plan.layers import room_needed
from puller.plan.model import PullPlan
from puller.plan.survey import survey
from puller.registry.client import RegistryClient


def plan_pull(todo: RequestedImages, engine: Engine, client: RegistryClient) -> PullPlan:
    """Say what a pull of these images would do and cost; raises EngineError when the engine does not answer."""
    inventory = EngineInventory(engine.store)
    estimates, quotas = survey(todo.requests, inventory, client)
    known = [each.estimate for each in estimates if each.estimate]
    needed = room_needed(known, keeps_blobs=inventory.facts.keeps_platforms)
    return PullPlan(engine.engine, estimates, quotas, disk(inventory.facts, needed), todo.rejected)
