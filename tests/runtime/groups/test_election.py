"""The election: one leader once messages flow, a new one within the expiry, crossing claims, partition and heal."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from emomusic_edge.runtime.groups.election import EXPIRES_S, LISTEN_S, LOST_S, RENEW_S, SPREAD_S, Claim, Election, Said

STEP_S = 0.1
SOON_S = LISTEN_S + SPREAD_S + 1.0
"""After this, with nobody before, somebody leads."""


@dataclass
class Net:
    """Brokers (one for each part of a network) and nodes; each message takes a delay, in order for each node."""

    count: int
    delays_s: tuple[float, ...] = (0.0,)
    expiry: bool = True
    now_s: float = 0.0
    nodes: list[Election] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = [
            Election(f"{(node * 2654435761 + 12345) % 2**32:08x}", f"room-{node}") for node in range(self.count)
        ]
        self.part = [0] * self.count  # -1 is away from any broker
        self.fit = [True] * self.count
        self.retained: dict[int, tuple[Claim, float]] = {}
        self._way: list[tuple[float, int, int, Claim | None]] = []
        self._number = itertools.count()
        self._delays = itertools.cycle(self.delays_s)
        self._last_s = [0.0] * self.count

    def join(self, node: int, part: int) -> None:
        self.part[node] = part
        if part in self.retained:
            claim, until_s = self.retained[part]
            if not self.expiry or self.now_s < until_s:
                self._send(node, claim)

    def run(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            while self._way and self._way[0][0] <= self.now_s:
                _, _, node, claim = heapq.heappop(self._way)
                if self.part[node] >= 0:
                    self.nodes[node].heard(claim, self.now_s)
            for node, election in enumerate(self.nodes):
                if self.part[node] >= 0:
                    said = election.step(self.now_s, fit=self.fit[node])
                    if said is not None:
                        self.say(node, said)
            self.now_s += STEP_S

    def say(self, node: int, said: Said) -> None:
        part = self.part[node]
        self.retained.pop(part, None)
        if said.claim is not None:
            self.retained[part] = (said.claim, self.now_s + EXPIRES_S)
        for other in range(self.count):
            if other != node and self.part[other] == part:
                self._send(other, said.claim)

    def _send(self, node: int, claim: Claim | None) -> None:
        # One line keeps its order.
        self._last_s[node] = max(self._last_s[node], self.now_s + next(self._delays))
        heapq.heappush(self._way, (self._last_s[node], next(self._number), node, claim))

    def leaders(self, part: int = 0) -> list[int]:
        return [node for node, election in enumerate(self.nodes) if self.part[node] == part and election.leads]

    def agreed(self, part: int = 0) -> bool:
        here = [node for node in range(self.count) if self.part[node] == part]
        runs = {getattr(self.nodes[node].leader(self.now_s), "run", None) for node in here}
        leaders = self.leaders(part)
        return len(leaders) == 1 and runs == {self.nodes[leaders[0]]._run}


def test_one_leads_soon_and_stays() -> None:
    net = Net(5)
    net.run(SOON_S)
    (first,) = net.leaders()
    assert net.agreed()
    for _ in range(60):
        net.run(1.0)
        assert net.leaders() == [first]


def test_nobody_leads_without_anything_to_lead_with() -> None:
    net = Net(3)
    net.fit = [False, False, False]
    net.run(60.0)
    assert net.leaders() == []
    net.fit[1] = True
    net.run(STEP_S)
    assert net.leaders() == [1]


def test_a_late_node_follows_the_leader_that_is_there() -> None:
    net = Net(4)
    net.part[3] = -1
    net.run(SOON_S)
    first = net.leaders()
    net.join(3, 0)
    net.run(2 * STEP_S)
    assert net.agreed()
    net.run(60.0)
    assert net.leaders() == first


def test_a_leader_that_vanishes_is_replaced_within_the_expiry() -> None:
    for lost_after_s in (0.0, 1.3, 3.9):
        net = Net(4)
        net.run(20.0 + lost_after_s)
        (first,) = net.leaders()
        net.part[first] = -1
        net.run(EXPIRES_S)
        assert net.agreed()
        # It comes back with its old claim, and follows.
        new = net.leaders()
        net.join(first, 0)
        net.run(1.0)
        assert net.leaders() == new
        assert net.agreed()


def test_a_leader_that_says_goodbye_is_replaced_at_once() -> None:
    net = Net(3)
    net.run(20.0)
    (first,) = net.leaders()
    said = net.nodes[first].resign()
    assert said == Said(None)
    net.say(first, said)
    net.part[first] = -1
    net.run(SPREAD_S + 2 * STEP_S)
    assert net.agreed()
    assert first not in net.leaders()
    assert net.nodes[first].resign() is None


def test_a_leader_with_nothing_left_to_lead_with_gives_way_and_follows() -> None:
    net = Net(3)
    net.run(20.0)
    (first,) = net.leaders()
    net.fit[first] = False
    net.run(SPREAD_S + 2 * STEP_S)
    assert net.agreed()
    assert first not in net.leaders()
    new = net.leaders()
    net.fit[first] = True
    net.run(60.0)
    assert net.leaders() == new


def test_two_claims_that_cross_leave_one_leader() -> None:
    net = Net(2, delays_s=(0.9,))
    net.nodes = [Election("00000001", "a"), Election("00000002", "b")]
    net.run(LISTEN_S + 0.3)
    assert net.leaders() == [0, 1]  # neither has heard the other yet
    net.run(1.0 + 2 * STEP_S)
    assert net.leaders() == [1]
    net.run(1.0)
    assert net.agreed()
    # What the broker keeps is the one that holds.
    assert net.retained[0][0].node == "b"


def test_a_goodbye_that_crosses_a_claim_does_not_leave_a_leader_that_nobody_knows() -> None:
    net = Net(3)
    net.run(20.0)
    (leader,) = net.leaders()
    net.say((leader + 1) % 3, Said(None))
    net.run(2 * STEP_S)
    assert net.agreed()
    assert net.leaders() == [leader]
    assert 0 in net.retained


def test_a_kept_claim_of_a_dead_run_is_outlived_where_the_broker_knows_no_expiry() -> None:
    net = Net(2, expiry=False)
    net.retained[0] = (Claim("ffffffff", "gone", 7), 0.0)
    for node in range(2):
        net.join(node, 0)
    net.run(1.0)
    assert net.leaders() == []
    net.run(EXPIRES_S)
    assert net.agreed()
    claim = net.nodes[0].leader(net.now_s)
    assert claim is not None
    assert claim.term == 8


def test_one_that_hears_its_own_claim_goes_on() -> None:
    election = Election("00000001", "a")
    said = None
    for tenth in range(40):
        said = said or election.step(tenth / 10, fit=True)
    assert said is not None
    election.heard(said.claim, 4.0)
    assert election.leads
    assert election.step(4.1, fit=True) is None


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(2, 6),
    delays_s=st.lists(st.floats(0.0, 1.5), min_size=1, max_size=7).map(tuple),
    expiry=st.booleans(),
    events=st.lists(
        st.tuples(st.floats(0.0, 20.0), st.sampled_from(["away", "here", "there", "fit", "unfit"]), st.integers(0, 5)),
        max_size=12,
    ),
)
def test_whatever_happened_one_leads_once_messages_flow(
    count: int, delays_s: tuple[float, ...], expiry: bool, events: list[tuple[float, str, int]]
) -> None:
    net = Net(count, delays_s=delays_s, expiry=expiry)
    for after_s, what, number in events:
        net.run(after_s)
        node = number % count
        if what in ("fit", "unfit"):
            net.fit[node] = what == "fit"
        else:
            net.join(node, {"away": -1, "here": 0, "there": 1}[what])
    # Bridged again: the claims of the one part reach the other.
    for node in range(count):
        net.fit[node] = True
        net.join(node, 0)
    # The claim of a leader that fell away is waited out, then the claims settle.
    net.run(LOST_S + 2 * SPREAD_S + LISTEN_S + RENEW_S + 3 * max(delays_s) + 1.0)
    assert net.agreed()
    leader = net.leaders()
    for _ in range(20):
        net.run(1.0)
        assert net.leaders() == leader
        assert net.agreed()
