"""Each fault alone, one after the other on one device: it comes back by itself, answers, and its music plays on."""

from __future__ import annotations

import random

import pytest
from fault_kinds import KINDS
from fault_rig import RIGHT, Rig

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_device_outlives(rig: Rig, kind: str) -> None:
    assert rig.ask()
    before, accepted = rig.device.now, rig.proxy.accepted
    blow = KINDS[kind](rig, random.Random(kind))
    recovery = rig.recovery(blow, accepted)
    assert recovery.answered
    assert blow.lost_answers == 0
    assert recovery.kept == RIGHT
    assert rig.device.now.standstills == before.standstills
    assert rig.device.faults == []
