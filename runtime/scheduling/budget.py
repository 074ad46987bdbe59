"""How many frames a second are worked on, so that the machine's budget holds; without clock or I/O."""

from __future__ import annotations

from dataclasses import dataclass

from emomusic_edge.contracts import PaceLimit

# The rate does not fall below this: a change of scene, or a face that comes, is seen within a second in any case.
FLOOR_FRAMES_PER_SECOND = 1.0

# One look at the load: long enough that decoding a song, a second of work, does not lead; and at least so many frames,
# so that one more or less makes an eighth.
_LOOK_S = 4.0
_LOOK_FRAMES = 8

# What is used grows at most in proportion to the rate, since some is used without any frame: aiming at 95 % therefore
# never overshoots on the way up. Between 90 and 100 % the rate stands.
_AIM = 0.95
_ROOM = 0.90
_STEEPEST = 0.25
_RAISE = 1.25

# A heat sink answers in tens of seconds: small steps, none while it already cools, and a band where the rate stands.
_HOT_LOWER = 0.8
_HOT_RAISE = 1.1
_HOT_BAND_C = 3.0
_TOO_HOT_C = 5.0
_COOLS_C = 0.2

# So many looks in a row over the budget at the floor, and it is told as a fault.
_LOOKS_TO_GIVE_UP = 3
_WORK_LEAVES = 0.95


@dataclass(frozen=True, slots=True)
class Limits:
    """What is to hold.

    Attributes:
        frames_per_second: the most that are worked on, > 0.
        max_cpu_percent: of all cores that the process may use together, 0..100; 100 is no limit.
        max_temperature_c: of the hottest sensor.
    """

    frames_per_second: float
    max_cpu_percent: float = 100.0
    max_temperature_c: float = 85.0


@dataclass(frozen=True, slots=True)
class Load:
    """What happened since the last look.

    Attributes:
        wall_s: seconds that passed, > 0.
        frames: worked on.
        busy_s: seconds that the steps of these frames took.
        cpu_percent: CPU time of this process and its helpers, of all cores that it may use together, 0..100.
        temperature_c: of the hottest sensor now; None where none answers.
    """

    wall_s: float
    frames: int
    busy_s: float
    cpu_percent: float
    temperature_c: float | None = None


class RateBudget:
    """Lowers the rate in proportion to what is over, raises it slowly when there is room again."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._floor = min(FLOOR_FRAMES_PER_SECOND, limits.frames_per_second)
        self._rate = limits.frames_per_second
        self._limit: PaceLimit = "none"
        self._work_rate: float | None = None
        self._temperature_c: float | None = None
        self._looks_over = 0
        self._reason = ""

    @property
    def frames_per_second(self) -> float:
        """The rate to work at: between the floor (1, or the most where that is less) and the most."""
        return self._rate

    @property
    def reachable_frames_per_second(self) -> float:
        """The same, or the rate that the work allows where that is less."""
        return self._rate if self._work_rate is None else min(self._rate, self._work_rate)

    @property
    def limited_by(self) -> PaceLimit:
        """What keeps the rate below the most."""
        if self._limit != "none":
            return self._limit
        return "none" if self._work_rate is None else "work"

    @property
    def reason(self) -> str:
        """Why the budget does not hold though the rate is at the floor; empty when it holds."""
        return self._reason

    @property
    def look_s(self) -> float:
        """How long to wait for the next look."""
        return max(_LOOK_S, _LOOK_FRAMES / self._rate)

    def look(self, load: Load) -> None:
        """Take in what happened since the last look, and set the rate anew."""
        wishes: dict[PaceLimit, float] = {"cpu": self._cpu_wish(load), "temperature": self._temperature_wish(load)}
        limit, wish = min(wishes.items(), key=lambda item: item[1])
        most = self._limits.frames_per_second
        at_floor = self._rate <= self._floor
        if wish < 1.0:
            # From what was reached: lowering a rate that the work or the camera does not reach would change nothing.
            reached = load.frames / load.wall_s
            self._rate = max(self._floor, min(self._rate, reached) * wish)
        else:
            self._rate = min(most, self._rate * wish)
        if self._rate >= most:
            self._limit = "none"
        elif wish <= 1.0 or self._limit == "none":
            self._limit = limit
        self._looks_over = self._looks_over + 1 if at_floor and wish < 1.0 else 0
        self._reason = self._fault(limit, load) if self._looks_over >= _LOOKS_TO_GIVE_UP else ""
        self._note_work(load)

    def _cpu_wish(self, load: Load) -> float:
        """What to multiply the rate by for the CPU's sake."""
        allowed, used = self._limits.max_cpu_percent, load.cpu_percent
        if allowed >= 100.0 or used <= 0.0:
            return _RAISE
        if used > allowed:
            return max(_STEEPEST, _AIM * allowed / used)
        return 1.0 if used >= _ROOM * allowed else min(_RAISE, _AIM * allowed / used)

    def _temperature_wish(self, load: Load) -> float:
        """What to multiply the rate by for the temperature's sake."""
        now_c, before_c = load.temperature_c, self._temperature_c
        self._temperature_c = now_c
        if now_c is None:
            return _RAISE
        over_c = now_c - self._limits.max_temperature_c
        if over_c > 0.0:
            cools = before_c is not None and now_c < before_c - _COOLS_C
            return 1.0 if cools and over_c < _TOO_HOT_C else _HOT_LOWER
        return 1.0 if over_c > -_HOT_BAND_C else _HOT_RAISE

    def _note_work(self, load: Load) -> None:
        """Whether a step takes longer than its period: then the rate is what the work allows."""
        share = load.busy_s * self._rate / load.frames if load.frames else 0.0
        works = share > (1.0 if self._work_rate is None else _WORK_LEAVES)
        self._work_rate = load.frames / load.busy_s if works else None

    def _fault(self, limit: PaceLimit, load: Load) -> str:
        at = f"at {self._floor:g} frames a second"
        if limit == "cpu":
            allowed = self._limits.max_cpu_percent
            return f"{at} the CPU is still used to {load.cpu_percent:.0f} %, loop.max_cpu_percent allows {allowed:g}"
        allowed_c = self._limits.max_temperature_c
        return f"{at} the machine still has {load.temperature_c:.0f} °C, loop.max_temperature_c allows {allowed_c:g}"
