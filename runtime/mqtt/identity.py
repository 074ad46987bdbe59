"""One node, one run: claims the node's name, finds a twin by its claim, and proves that what is said is also heard."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pydantic import ValidationError

from emomusic_edge.runtime.seldom_log import SeldomLog

from .broker import BrokerSettings
from .line import Line, Outgoing, Received, Subscription
from .messages import CLAIM, ClaimMessage
from .twin import Standing, standing

_log = logging.getLogger(__name__)

# A claim that does not come back within this is not let through.
_ECHO_S = 10.0
_ANSWER_INTERVAL_S = 1.0


class Identity:
    """Claims the name at each connect. Two runs of one name hear each other; the one that runs shorter gives way."""

    def __init__(
        self,
        settings: BrokerSettings,
        run: str,
        clock: Callable[[], float],
        on_twin: Callable[[str], None] | None,
    ) -> None:
        """Begin to count the uptime.

        Args:
            settings: which node and broker.
            run: this run's id.
            clock: monotonic seconds.
            on_twin: called once with the reason when this run is to stop.
        """
        self._settings = settings
        self._topic = settings.topic(CLAIM.name)
        self._run = run
        self._clock = clock
        self._on_twin = on_twin
        self._began_s = clock()
        self._claimed_at_s: float | None = None
        self._heard = False
        self._answer = False
        self._answered_at_s = -float("inf")
        self._suspect = ""
        self._asked_back = False
        self._seldom = SeldomLog(_log, clock=clock)
        self.twin = ""

    def subscription(self) -> Subscription:
        """The topic of the claims, our own among them."""
        return Subscription(self._topic, self._claim_heard, CLAIM.qos, kept=False, own=True)

    def connected(self, line: Line) -> None:
        """Claim the name; on the network thread."""
        self._heard = False
        self._claimed_at_s = self._clock()
        self._claim(line)

    def step(self, line: Line) -> None:
        """Answer a claim that was heard, at most once a second; on the loop's thread."""
        now_s = self._clock()
        if self._answer and now_s - self._answered_at_s >= _ANSWER_INTERVAL_S:
            self._answer, self._answered_at_s = False, now_s
            self._asked_back = bool(self._suspect)
            self._claim(line)

    @property
    def unheard(self) -> str:
        """Why commands will not arrive though we are connected; empty when all is well."""
        if self._heard or self._claimed_at_s is None or self._clock() - self._claimed_at_s < _ECHO_S:
            return ""
        return (
            f"broker {self._settings.where} does not pass on to us what is said on {self._topic}: allow reading and "
            f"writing emomusic/{self._settings.node}/# in the broker's access list"
        )

    def _claim(self, line: Line) -> None:
        claim = ClaimMessage(run=self._run, uptime_s=round(self.uptime_s, 1))
        line.send(Outgoing(self._topic, claim.payload(), CLAIM.qos))

    @property
    def uptime_s(self) -> float:
        """Seconds that this run has lasted."""
        return max(0.0, self._clock() - self._began_s)

    def _claim_heard(self, message: Received) -> None:
        if message.retained:
            # A claim is of the moment: one that somebody had kept says nothing of who runs now.
            return
        try:
            claim = ClaimMessage.model_validate_json(message.payload)
        except ValidationError:
            self._seldom.warning("claim", f"what came on {message.topic} is no claim")
            return
        verdict = standing(self._run, self.uptime_s, claim.run, claim.uptime_s)
        if verdict is Standing.OURS:
            self._heard = True
        elif verdict is Standing.STAY:
            self._answer = True
        elif not (claim.run == self._suspect and self._asked_back):
            # Asked back first: a run that is there says it again; a word that somebody threw in does not.
            self._suspect, self._asked_back, self._answer = claim.run, False, True
        elif not self.twin:
            self.twin = (
                f"another device on the broker {self._settings.where} uses the name {self._settings.node!r} and has "
                f"run for longer ({claim.uptime_s:.0f} s): this one stops"
            )
            _log.error("%s", self.twin)
            if self._on_twin is not None:
                self._on_twin(self.twin)
