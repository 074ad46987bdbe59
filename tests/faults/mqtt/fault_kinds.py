"""What can go wrong between device and smart home. Each is done and undone; times are drawn by the caller's seed."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from broker import program, wait_until
from fault_proxy import Pace
from fault_rig import Blow, Rig

from emomusic_edge.runtime.mqtt.commands import COMMANDS

FLOOD = 10_000
HUGE_BYTES = 100_000_000
_HOUR_S = 3600.0

Strike = Callable[[Rig, random.Random], Blow]


def killed(rig: Rig, chance: random.Random) -> Blow:
    away_s = chance.uniform(0.1, 6.0)
    rig.broker.kill()
    time.sleep(away_s)
    rig.broker.start()
    return Blow(time.monotonic(), note=f"away for {away_s:.1f} s")


def restarted(rig: Rig, chance: random.Random) -> Blow:
    rig.broker.stop()
    rig.broker.start()
    return Blow(time.monotonic(), note="at once")


def frozen(rig: Rig, chance: random.Random) -> Blow:
    """Short enough to be outlived, or long enough for either side to give the other up."""
    still_s = chance.uniform(0.3, 2.5 * rig.keepalive_s)
    rig.broker.freeze()
    time.sleep(still_s)
    rig.broker.thaw()
    return Blow(time.monotonic(), breaks=False, note=f"for {still_s:.1f} s")


def cable_out(rig: Rig, chance: random.Random) -> Blow:
    """Nothing moves and nothing is lost: TCP sends it again when the cable is back."""
    out_s = chance.uniform(0.3, 2.5 * rig.keepalive_s)
    rig.proxy.stall(True)
    time.sleep(out_s)
    rig.proxy.heal()
    return Blow(time.monotonic(), breaks=False, note=f"for {out_s:.1f} s")


def half_open(rig: Rig, chance: random.Random) -> Blow:
    """What a router does that has forgotten the line. New ones pass."""
    rig.proxy.swallow()
    return Blow(time.monotonic(), half_open=True, note="dropped silently")


def silent_newcomers(rig: Rig, chance: random.Random) -> Blow:
    """The line breaks, and whoever comes next is taken in by something that never answers."""
    knocks = rig.proxy.knocks
    rig.proxy.newcomers_silent(True)
    rig.proxy.reset()
    rig.until(lambda: rig.proxy.knocks > knocks, "the device to come back")
    rig.proxy.heal()
    return Blow(time.monotonic(), half_open=True, note="the first new line was dropped silently")


def slow(rig: Rig, chance: random.Random) -> Blow:
    """A command sent meanwhile is answered, if late."""
    delay_s, bytes_per_s = chance.uniform(0.1, 0.8), chance.uniform(3_000, 20_000)
    rig.proxy.pace(Pace(delay_s, bytes_per_s))
    answered = sum(rig.ask(within_s=20.0) for _ in range(2))
    rig.proxy.heal()
    note = f"{delay_s:.1f} s late, {bytes_per_s / 1000:.0f} kB/s"
    return Blow(time.monotonic(), breaks=False, note=note, kept_answers=answered, lost_answers=2 - answered)


def resetting(rig: Rig, chance: random.Random) -> Blow:
    """Reset, and who comes back is reset too for a while."""
    for_s = chance.uniform(0.0, 4.0)
    rig.proxy.newcomers_reset(True)
    rig.proxy.reset()
    time.sleep(for_s)
    rig.proxy.heal()
    return Blow(time.monotonic(), note=f"for {for_s:.1f} s")


def cut_mid_message(rig: Rig, chance: random.Random) -> Blow:
    """The line ends within a packet to the device."""
    accepted, after_bytes = rig.proxy.accepted, chance.randint(1, 60)
    rig.proxy.cut_mid_message(after_bytes)
    rig.controller.send("volume", "0.5")
    rig.until(lambda: rig.proxy.accepted > accepted, "the device to come back")
    return Blow(rig.proxy.accepted_at_s, note=f"after {after_bytes} bytes")


def password_changed(rig: Rig, chance: random.Random) -> Blow:
    """First at the broker; a while later somebody writes it into the device's file."""
    rig.broker.change_password(f"{chance.getrandbits(64):x}")
    rig.until(lambda: "refused the login" in rig.device.now.reason, "the refusal to be told")
    rig.write_password()
    return Blow(time.monotonic(), note="refused, then told the new one")


def certificate_of_another(rig: Rig, chance: random.Random) -> Blow:
    """Somebody else's certificate, then a right one again."""
    rig.broker.install_certificate("another")
    rig.proxy.reset()
    rig.until(lambda: "certificate is not trusted" in rig.device.now.reason, "the refusal to be told")
    rig.broker.install_certificate("ours")
    return Blow(time.monotonic(), note="refused, then a right one")


def certificate_renewed(rig: Rig, chance: random.Random) -> Blow:
    """By the same authority; the next line sees it."""
    rig.broker.install_certificate("ours")
    rig.proxy.reset()
    return Blow(time.monotonic(), note="by the same authority")


def flood(rig: Rig, chance: random.Random) -> Blow:
    """Ten thousand commands at once: each is answered, nearly all with a refusal."""
    controller = rig.controller
    numbers = [controller.send("volume", "0.5") for _ in range(FLOOD)]
    newest, newest_at_s = 0, time.monotonic()
    while time.monotonic() - newest_at_s < 10.0:
        count = sum(controller.answers[number] > 0 for number in numbers)
        if count > newest:
            newest, newest_at_s = count, time.monotonic()
        if count == FLOOD:
            break
        time.sleep(0.1)
    once = sum(controller.answers[number] == 1 for number in numbers)
    return Blow(
        time.monotonic(),
        breaks=False,
        note=f"{FLOOD:,} commands",
        kept_answers=once,
        lost_answers=FLOOD - once,
    )


def huge_payload(rig: Rig, chance: random.Random) -> Blow:
    """Larger than all that the device takes: the broker keeps it to itself, and the next command arrives."""
    topic = f"emomusic/{rig.settings['node']}/cmd/volume"
    # paho would copy what is left of it with each piece that it sends.
    subprocess.run(
        [program("mosquitto_pub"), "--unix", str(rig.broker.unix_socket), "-V", "5", "-q", "1", "-t", topic, "-s"],
        input=bytes(HUGE_BYTES),
        check=True,
    )
    answered = rig.ask(within_s=30.0)
    return Blow(
        time.monotonic(),
        breaks=False,
        note=f"{HUGE_BYTES / 1e6:.0f} MB",
        kept_answers=int(answered),
        lost_answers=int(not answered),
    )


def invalid_utf8(rig: Rig, chance: random.Random) -> Blow:
    """To each command bytes that are no text: each is answered with a refusal."""
    controller, refused = rig.controller, 0
    for name in COMMANDS:
        answer = controller.answer(controller.send(name, b"\xff\xfe" + chance.randbytes(30)))
        refused += answer is not None and not answer.ok
        time.sleep(0.2)  # no more than the device takes a second
    return Blow(
        time.monotonic(),
        breaks=False,
        note=f"to {len(COMMANDS)} commands",
        kept_answers=refused,
        lost_answers=len(COMMANDS) - refused,
    )


def name_taken(rig: Rig, chance: random.Random) -> Blow:
    """Another client comes in under the device's own name at the broker, which throws the device out."""
    # The first: later ones are those of devices that had the same node.
    rig.controller.take_over(rig.broker.client_ids(rig.settings["node"])[0])
    return Blow(time.monotonic(), note="and left again")


def same_node(rig: Rig, chance: random.Random) -> Blow:
    """A second device with the same node id: it stops, and what the broker keeps stays right."""
    twin = rig.another_device("twin.log")
    try:
        wait_until(lambda: not twin.alive, lambda: f"the second device to stop; {twin.log()[-1000:]}")
        code = twin.ended()
    finally:
        twin.close()
    assert code == 75, twin.log()[-2000:]
    return Blow(time.monotonic(), breaks=False, note=f"it stopped with {code}")


def wall_clock(rig: Rig, chance: random.Random) -> Blow:
    step_s = chance.choice((-_HOUR_S, _HOUR_S))
    rig.device.order(wall_step_s=step_s)
    return Blow(time.monotonic(), breaks=False, note=f"{step_s:+.0f} s")


KINDS: Mapping[str, Strike] = MappingProxyType(
    {
        "broker killed": killed,
        "broker restarted": restarted,
        "broker frozen": frozen,
        "cable out": cable_out,
        "half-open": half_open,
        "silent newcomers": silent_newcomers,
        "slow line": slow,
        "resets": resetting,
        "cut mid-message": cut_mid_message,
        "password changed": password_changed,
        "certificate of another": certificate_of_another,
        "certificate renewed": certificate_renewed,
        "flood": flood,
        "100 MB payload": huge_payload,
        "invalid UTF-8": invalid_utf8,
        "client name taken": name_taken,
        "two of one node": same_node,
        "wall clock stepped": wall_clock,
    }
)
"""By the name that reports use."""
