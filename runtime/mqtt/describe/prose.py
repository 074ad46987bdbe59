"""The words of docs/mqtt.md that no model can say."""

from __future__ import annotations

from emomusic_edge.runtime.mqtt.commands import MAX_PAYLOAD_BYTES
from emomusic_edge.runtime.mqtt.inbox import MAX_WAITING_COMMANDS, CommandRate
from emomusic_edge.runtime.mqtt.messages import EXPIRY_S
from emomusic_edge.runtime.mqtt.publisher import MAX_CORRELATION_BYTES, MAX_TOPIC_BYTES

_RATE = CommandRate()

HEAD = """\
# MQTT

<!-- Written by `emomusic-edge mqtt describe > docs/mqtt.md`; a test holds it to the code. -->

What the device tells your smart home, and what you may ask of it. With Home Assistant you need none of this: the device
announces itself ([home-assistant.md](home-assistant.md)). Many devices on one broker: [fleet.md](fleet.md).

All topics begin with `emomusic/<node>/`, where `<node>` is the name you gave the device (`mqtt.node`; the host name and
six digits unless you set it; here `living-room`). The protocol is MQTT 5, or 3.1.1 where the broker knows no other.

For programs, the same as on this page: [asyncapi.json](asyncapi.json) (AsyncAPI 3.0), and the payloads as JSON Schema
from `emomusic-edge mqtt describe --format schema`.

## Try it

See everything the device says:

```sh
mosquitto_sub -v -t 'emomusic/living-room/#'
```

Tell it something:

```sh
mosquitto_pub -t emomusic/living-room/cmd/skip -n
```

Tell it something and wait for the answer:

```sh
mosquitto_rr -t emomusic/living-room/cmd/volume -m 0.4 -e emomusic/living-room/trial/result
```

If the broker is not on this machine, add `-h HOST`, and for TLS `-p 8883 --cafile ca.pem`.
"""

AFTER_TOPICS = f"""\
`state`, `music` and `health` come at most twice a second each, and at least every 10 s while the device runs: who joins
late knows everything within 10 s. The first of each after connecting has QoS 1, so that a broker's refusal shows.

**Why nothing but `availability` is retained:** a retained message stays in the broker's database in plaintext, for
anyone who asks, long after the moment. What a person felt is not kept. The song follows the feeling, so `music` is not
kept either. If another program has the broker keep something under these topics, the device clears it: when it
connects, and at each `pause` and `forget`.

**Expiry:** what a broker could not deliver of `state`, `music` and `health` within {EXPIRY_S} s, it throws away. A
listener that was away for longer hears nothing stale.

When the broker goes away the music plays on. When it is back, the device tells the newest of each, in the order
`availability`, `health`, `state`, `music`; nothing older is made up for. Before that it announces itself to Home
Assistant on `homeassistant/device/<mqtt.device_id>/emomusic/config` (retained; no feelings in it).
"""

AVAILABILITY = """\
Plain text, `online` or `offline`. While it says `offline`, believe nothing else.
"""

HEALTH = """\
The parts among `reasons` are `camera`, `audio`, `likes`, `index`, `command`, `models`, `pace`, `memory` and `broker`.
The last one tells what is wrong with the line though this message came: an access list in the way, a part that failed
on a message, an id that two devices have. A broker that does not answer cannot be told here: the live view and the log
say it. `notices` says under `broker` when feelings cross the network unencrypted because `mqtt.allow_plaintext` allows
it.

A limit of the pace is no fault; `pace` among the reasons is one: slowed as far as it goes, and the limit still does not
hold. All of it: [pacing.md](pacing.md).
"""

COMMANDS = """\
The payload is JSON, or for commands of one value the bare value. Send with QoS 1 what must not be lost.
"""

ANSWERS = f"""\
Each command is answered on `cmd/<name>/result`. If it carries a response topic (MQTT 5), the answer goes there instead.
Either way it carries the command's correlation data, up to {MAX_CORRELATION_BYTES} bytes of it, so that a program knows
which of its commands it belongs to. Longer correlation data is left out.

A response topic must stand under the device's own `emomusic/<node>/`, with `result` as its last level and at most
{MAX_TOPIC_BYTES} bytes: who may send commands must not have the device speak anywhere else. For any other the answer
comes on `cmd/<name>/result`.

`ok` means understood; it is done within the next step, a tenth of a second later.
"""

REFUSALS = f"""\
Refused, with a reason:

- what is not JSON, unknown fields, numbers out of range or not finite, unknown commands (the nearest is suggested);
- more than {_RATE.per_s:g} commands a second in the long run; {_RATE.burst} at once are taken after a quiet time;
- more than {MAX_WAITING_COMMANDS} commands at once that the device has not come to yet;
- a command with the retain flag (`-r`): an old wish that would come back at every restart. The device has the broker
  forget it.

A message of more than {MAX_PAYLOAD_BYTES // 1024} KiB never reaches the device: the broker drops it, without an answer.
"""

CLAIM = """\
Every run tells on `claim` which run it is. Two runs that bear the same `mqtt.node` hear each other there: the one that
has run for less time stops with a clear reason (exit code 75), so that two devices never mix their words. The device
also hears its own claim come back; where it does not, the broker's access list is in the way, and the log says so.
"""

GROUPS = """\
Nodes of a group speak to each other under `emomusic-group/<group>/`, where `<group>` is the name you gave it
(`group.name`). A node that is in none neither speaks nor listens there. What it is for, and how it works:
[groups.md](groups.md). Listen if you like; you need not send anything here.

`<run>` is one run of one node, by eight hexadecimal digits. These messages may hold fields that a node does not know:
it passes them over, as a newer one may speak in the same group. A feeling can be read from `plan`, which is why it is
never retained.
"""

WAY = """\
In the section `[mqtt]` of the config file; defaults and bounds are in [configuration.md](configuration.md).
"""

AFTER_WAY = f"""\
A broker on another machine needs TLS, or `tls = false` with `allow_plaintext = true` if you accept that anyone on the
network can read along. Otherwise the device refuses to start and says so. The broker's certificate and name are always
verified. Certificates and the password file are read again before each connection: a new one needs no restart.

### An access list for mosquitto

Each device logs in with its own name (`mqtt.username`, `mqtt.node` and `mqtt.device_id` are all the same) and reaches
nothing of the others: it neither speaks for them nor announces anything to Home Assistant but itself. Home Assistant,
here the user `homeassistant`, reaches all of them. Name this file as `acl_file` in mosquitto.conf:

```text
# what a device may say and hear: %u is the name it logged in with
pattern readwrite emomusic/%u/#
# what it needs to be found by Home Assistant
pattern read homeassistant/status
pattern readwrite homeassistant/device/%u/#

user homeassistant
topic readwrite emomusic/#
topic readwrite homeassistant/#

# groups: only if you have some. For each device of a group these two lines, without the #:
#user living-room
#topic readwrite emomusic-group/downstairs/#
```

`%u` keeps devices apart, but rooms of a group trust each other: whoever may write to a group's topics can lead it, and
whoever may read them learns what mood it plays to, which follows from what its cameras saw. So these topics are open to
nobody until you name the devices of each group, and only devices: neither Home Assistant nor `fleet` needs them
([groups.md](groups.md)).

Another `mqtt.node` is another login here. Leave `mqtt.device_id` as it is, and allow the new login what stands under
the old id (`topic readwrite homeassistant/device/living-room/#`): the entities then stay. The former name's
`availability` remains `offline` in the broker until somebody clears it.

### MQTT 3.1.1

With `protocol = "3.1.1"` some of this page does not hold, as that version has no words for it:

- no expiry: a broker may hand an old message to a listener that was away, if it keeps a queue for it;
- no delayed will: `offline` is told at once when the line breaks, also when it is back a second later;
- no response topic and no correlation data: answers come on `cmd/<name>/result`;
- no limit on what a broker sends: set one there, for mosquitto `message_size_limit {MAX_PAYLOAD_BYTES}` in
  mosquitto.conf. A longer command that gets through is refused all the same.
"""

WHEN_NOTHING_COMES = (
    ("does not answer", "is it running? `systemctl status mosquitto`; right host and port?"),
    ("refused the login", "set `mqtt.username`, and the password in `mqtt.password_file`"),
    ("its certificate is not trusted", "set `mqtt.ca_file` to the CA that signed your broker's certificate"),
    ("its certificate is for another name", "`mqtt.host` must be the name in the certificate"),
    ("its certificate has expired", "renew it on the broker; is this machine's clock right?"),
    ("wants a client certificate", "set `mqtt.client_cert_file` and `mqtt.client_key_file`"),
    ("does not accept the client certificate", "is it signed by a CA that the broker trusts, and not expired?"),
    ("no such host", "is `mqtt.host` right, and is there a name server?"),
    ("takes the connection but says nothing", "the broker is stuck, or another program has that port"),
    ("hung up without an answer", "the port may speak TLS while `mqtt.tls` is off"),
    ("does not speak TLS as expected", "the port may be one for plaintext"),
    ("does not speak MQTT", 'set `mqtt.protocol = "3.1.1"`'),
    ("has fallen silent", "it is frozen, or the network is; the device tries again by itself"),
    ("uses the name", "two devices share a `mqtt.node`, or this program runs twice: rename one, or stop it"),
    ("lets us read no", "the broker's access list: see above"),
    ("takes nothing from us on", "the broker's access list: see above"),
    ("does not pass on to us what is said on", "the broker's access list: see above"),
)
"""What the live view or the log says, and what to do about it."""
