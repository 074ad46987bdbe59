"""The settings: layers, refusals, secrets, and the files written from them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import string
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from emomusic_edge.affect import DEFAULT_GATE
from emomusic_edge.config import (
    LoadedConfig,
    MqttSettings,
    Settings,
    load_config,
    load_with_origins,
    parse_assignments,
    read_password,
)
from emomusic_edge.config.describe import Setting, known_settings, toml_value
from emomusic_edge.config.show import MASK, example_toml, reference_markdown, to_json, to_toml
from emomusic_edge.config.toml_file import MAX_BYTES
from emomusic_edge.contracts import Mode
from emomusic_edge.errors import BrokerError, ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NO_VARIABLES: dict[str, str] = {}
SECRET = "correct horse battery staple"
UNITS = ("_s", "_px", "_per_second")


@pytest.fixture(autouse=True)
def _no_user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))


def written(folder: Path, text: str) -> Path:
    file = folder / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(
    file: Path | None = None, overrides: dict[str, object] | None = None, environ: dict[str, str] | None = None
) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(file, overrides, environ or NO_VARIABLES)
    assert caught.value.mend
    return str(caught.value)


# Layers


def test_nothing_given_is_the_defaults() -> None:
    loaded = load_with_origins(None, {}, NO_VARIABLES)
    assert loaded == LoadedConfig(Settings(), {}, None)


def test_the_defaults_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Settings()
    monkeypatch.setenv("EMOMUSIC_MQTT__PORT", "7")
    assert Settings() == before
    assert load_config().mqtt.port == 7


LAYERED = {
    # key: the values of file, environment and flag
    "mqtt.port": (1001, 1002, 1003),
    "mqtt.host": ("file", "environment", "flag"),
    "music.dwell_s": (41.0, 42.0, 43.0),
    "player.muted": (True, False, True),
    "mode.mode": ("calm", "guide", "off"),
    "stabilizer.gate_valence": (0.1, 0.2, 0.3),
    "paths.data_dir": ("/file", "/environment", "/flag"),
}


def value_of(config: Settings, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)


@given(given_by=st.fixed_dictionaries({key: st.sets(st.sampled_from([0, 1, 2])) for key in LAYERED}))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_highest_layer_that_gives_a_setting_wins(tmp_path: Path, given_by: dict[str, set[int]]) -> None:
    lines = [f"{key} = {toml_value(LAYERED[key][0])}" for key, layers in given_by.items() if 0 in layers]
    file = written(tmp_path, "\n".join(lines))
    environ = {known_settings()[key].variable: str(LAYERED[key][1]) for key, layers in given_by.items() if 1 in layers}
    flags: dict[str, object] = {key: LAYERED[key][2] if 2 in layers else None for key, layers in given_by.items()}
    loaded = load_with_origins(file, flags, environ)
    for key, layers in given_by.items():
        found = value_of(loaded.settings, key)
        if not layers:
            assert found == value_of(Settings(), key)
            assert key not in loaded.origins
        else:
            expected = LAYERED[key][max(layers)]
            assert str(getattr(found, "value", found)) == str(expected)
            places = (
                f"{file}, line {lines.index(next(x for x in lines if x.startswith(key))) + 1}" if 0 in layers else "",
            )
            assert loaded.origins[key] == (*places, known_settings()[key].variable, "a flag")[max(layers)]


def test_the_users_own_file_is_read_when_there_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "xdg-config" / "emomusic-edge"
    folder.mkdir(parents=True)
    file = written(folder, "player.volume = 0.25")
    loaded = load_with_origins(None, None, NO_VARIABLES)
    assert loaded.file == file
    assert loaded.settings.player.volume == 0.25
    other = written(tmp_path, "")
    assert load_config(other, None, NO_VARIABLES) == Settings()


def test_an_empty_variable_counts_as_not_given(tmp_path: Path) -> None:
    file = written(tmp_path, "mqtt.port = 5")
    assert load_config(file, None, {"EMOMUSIC_MQTT__PORT": ""}).mqtt.port == 5


def test_variables_may_be_lower_case() -> None:
    assert load_config(None, None, {"emomusic_music__dwell_s": "61"}).music.dwell_s == 61.0


def test_other_programs_variables_are_none_of_ours() -> None:
    environ = {"EMOMUSICIAN": "x", "_EMOMUSIC_EDGE_COMPLETE": "complete_bash", "MQTT__HOST": "x", "PATH": "/bin"}
    assert load_config(None, None, environ) == Settings()


def test_assignments() -> None:
    assert parse_assignments(["mqtt.host=a=b", " music.dwell_s = 40 "]) == {"mqtt.host": "a=b", "music.dwell_s": "40"}
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_assignments(["mqtt.host"])


# Unknown names


@pytest.mark.parametrize(
    ("text", "name", "nearest", "line"),
    [
        ("[mqtt]\nhost = 'x'\n\nprot = 5\n", "mqtt.prot", "mqtt.port", 4),
        ("[player]\n[camra]\nsource = '0'\n", "camra", "camera", 2),
        ("music.dwel_s = 5", "music.dwel_s", "music.dwell_s", 1),
        ("[loop]\nvolume = 1\n", "loop.volume", "player.volume", 2),
        ("# prot = 1\nmqtt = {prot = 5}", "mqtt.prot", "mqtt.port", 2),
        ("volume = 1", "volume", None, 1),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(
    tmp_path: Path, text: str, name: str, nearest: str | None, line: int
) -> None:
    file = written(tmp_path, text)
    message = refused(file)
    assert message.startswith(f"{name} is not a setting")
    assert f"{file}, line {line}" in message
    if nearest:
        assert f"did you mean {nearest}?" in message


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("EMOMUSIC_MQTT_HOST", "EMOMUSIC_MQTT__HOST"),
        ("EMOMUSIC_MQTT__HOTS", "EMOMUSIC_MQTT__HOST"),
        ("emomusic_player__volum", "EMOMUSIC_PLAYER__VOLUME"),
        ("EMOMUSIC_VOLUME", "EMOMUSIC_PLAYER__VOLUME"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(variable: str, nearest: str) -> None:
    message = refused(environ={variable: SECRET})
    assert message.startswith(f"{variable} is not a setting; did you mean {nearest}?")
    assert SECRET not in message


@pytest.mark.parametrize("variable", ["EMOMUSIC_MQTT", "EMOMUSIC_", "EMOMUSIC_QQQQ"])
def test_a_variable_that_is_near_to_nothing_is_told_the_form(variable: str) -> None:
    # pydantic-settings itself would take JSON in EMOMUSIC_MQTT: one way is enough
    assert "expected EMOMUSIC_SECTION__NAME" in refused(environ={variable: '{"port": 5}'})


def test_an_unknown_flag_is_refused_even_when_it_was_not_given() -> None:
    assert refused(overrides={"music.dwell": None}).startswith(
        "music.dwell is not a setting; did you mean music.dwell_s?"
    )


@given(key=st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda key: key not in known_settings()))
def test_every_other_key_is_refused(key: str) -> None:
    assert "is not a setting" in refused(overrides={key: 1})


# Values that do not fit


def numbers() -> list[Setting]:
    return [s for s in known_settings().values() if re.match(r"a (whole )?number ", s.expected)]


@pytest.mark.parametrize("setting", numbers(), ids=lambda s: s.key)
def test_every_number_has_bounds_that_hold_and_are_told(setting: Setting) -> None:
    bounds = re.search(r"(from|above) (\S+) (?:and up )?to (\S+)", setting.expected)
    assert bounds, f"{setting.key} has no bounds"
    low, high = float(bounds[2]), float(bounds[3])
    whole = setting.expected.startswith("a whole")
    step = 1.0 if whole else 1e-3
    inside = high if bounds[1] == "above" else low
    # bounds that span two settings are another test's
    rest: dict[str, object] = {"player.crossfade_s": 0, "music.dwell_s": 3600} | {setting.key: inside}
    assert value_of(load_config(None, rest, NO_VARIABLES), setting.key) == inside
    for outside in (low - step, high + step, float("nan"), float("inf"), True, "many", [low]):
        message = refused(overrides={setting.key: outside})
        assert message.startswith(f"{setting.key}: found ")
        assert setting.expected in message
        assert "a flag" in message
    if bounds[1] == "above":
        refused(overrides={setting.key: low})


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("mqtt.port = 70000", "70000", "a whole number from 1 to 65535"),
        ("mqtt.port = true", "true", "a whole number from 1 to 65535"),
        ("mqtt.port = 0x" + "f" * 9000, "a number of thousands of digits", "a whole number from 1 to 65535"),
        ("mode.mode = 'happy'", '"happy"', "one of mirror, guide, calm, energize, manual, off"),
        ("camera.width_px = [640]", "a list", "a whole number from 64 to 7680 (pixels)"),
        ("player.muted = 'maybe'", '"maybe"', "true or false"),
        ("player.volume = nan", "nan", "a number from 0 to 1"),
        ("mqtt.host = ''", '""', "text"),
        ("mqtt.node = 'Living Room'", '"Living Room"', "1 to 64 of a-z"),
        ("mqtt.node = '#'", '"#"', "1 to 64 of a-z"),
        ("mqtt.host = 1979-05-27", "1979-05-27", "text"),
        ("paths.data_dir = ''", '""', "a path"),
        ("paths.data_dir = '~no-such-user-here/x'", '"~no-such-user-here/x"', "a path"),
        ("mqtt.host.x = 1", "a table", "text"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_place(tmp_path: Path, text: str, found: str, expected: str) -> None:
    file = written(tmp_path, f"# first line\n{text}\n")
    message = refused(file)
    key = text.partition(" ")[0].removesuffix(".x")
    assert message.startswith(f"{key}: found {found}, expected {expected}")
    assert f"(from {file}, line 2)" in message


def test_a_variable_that_does_not_fit_is_named() -> None:
    message = refused(environ={"EMOMUSIC_MQTT__PORT": "lots"})
    assert message == 'mqtt.port: found "lots", expected a whole number from 1 to 65535 (from EMOMUSIC_MQTT__PORT).'


def test_a_variable_that_is_no_text_is_refused() -> None:
    # how Python hands over bytes that are no UTF-8
    message = refused(environ={"EMOMUSIC_MQTT__HOST": "a\udcff", "EMOMUSIC_PATHS__DATA_DIR": "/\udcff"})
    assert message.startswith("2 settings do not fit")
    assert message.encode()


def test_all_problems_are_told_at_once_and_no_more_than_a_screen(tmp_path: Path) -> None:
    file = written(tmp_path, "[mqtt]\nport = 0\nmin_interval_s = 0\n[log]\nlevel = 'loud'\n")
    message = refused(file)
    assert message.startswith("3 settings do not fit:\n")
    for key in ("mqtt.port", "mqtt.min_interval_s", "log.level"):
        assert f"- {key}: found" in message
    many = refused(written(tmp_path, "\n".join(f"wrong{i} = 1" for i in range(500))))
    assert len(many.splitlines()) < 20
    assert "and 488 more" in many


def test_a_fade_longer_than_the_dwell_is_refused() -> None:
    message = refused(overrides={"player.crossfade_s": 6, "music.dwell_s": 5}, environ={"EMOMUSIC_LOG__LEVEL": "debug"})
    assert message == "player.crossfade_s is 6, expected less than music.dwell_s, which is 5 (from a flag)."


@pytest.mark.parametrize("value", ["5", '"x"', "[[1]]", "true"])
def test_a_section_that_is_no_table_is_refused(tmp_path: Path, value: str) -> None:
    assert re.match(r"mqtt: found .*, expected a table, \[mqtt\]", refused(written(tmp_path, f"mqtt = {value}")))


# Files that cannot be read


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused(tmp_path / "none.toml")
    assert "cannot be read: Is a directory" in refused(tmp_path)
    assert "is no path" in refused(Path("a\0b"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[mqtt]\nhost = localhost\n", "line 2"),
        (b"[mqtt\n", "line 1"),
        (b"[mqtt]\nport = 1\nport = 2\n", "line 3"),
        (b"[mqtt]\nhost = '\xff'\n", "not UTF-8 text: a wrong byte stands on line 2"),
        (b"x = " + b"[" * 50_000, "nested too deeply"),
        (b"mqtt.port = " + b"9" * 5000, "not TOML"),
        (b"#" * (MAX_BYTES + 1), "larger than"),
        (b"\0", "not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_told_with_the_line(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    message = refused(file)
    assert str(file) in message
    assert told in message


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"\xef\xbb\xbf[mqtt]\nport = 5\n")
    assert load_config(file, None, NO_VARIABLES).mqtt.port == 5


@given(content=st.one_of(st.binary(max_size=200), st.text(string.printable, max_size=200).map(str.encode)))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_loads_or_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with contextlib.suppress(ConfigError):
        assert isinstance(load_config(file, None, NO_VARIABLES), Settings)


SCALARS = st.one_of(
    st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.integers(), max_size=2)
)


@given(values=st.dictionaries(st.sampled_from(sorted(known_settings())), SCALARS, max_size=6))
@settings(deadline=None)
def test_whatever_a_setting_is_given_it_fits_or_is_refused(values: dict[str, object]) -> None:
    message = ""
    try:
        load_config(None, values, NO_VARIABLES)
    except ConfigError as error:
        message = str(error)
    assert not message or any(key in message for key in values)


# Secrets


def everything_told(action: object) -> str:
    """Message and traceback of the refusal."""
    with pytest.raises(ConfigError) as caught:
        action()  # type: ignore[operator]
    return "".join(traceback.format_exception(caught.value)) + caught.value.mend


def test_a_secret_is_never_told(tmp_path: Path) -> None:
    environ = {"EMOMUSIC_MQTT__PASSWORD": SECRET, "EMOMUSIC_MQTT__USERNAME": "anna"}
    loaded = load_with_origins(None, None, environ)
    assert loaded.settings.mqtt.password is not None
    assert loaded.settings.mqtt.password.get_secret_value() == SECRET
    for text in (
        repr(loaded),
        str(loaded.settings),
        loaded.settings.model_dump_json(),
        to_toml(loaded),
        to_json(loaded),
    ):
        assert SECRET not in text
    assert MASK in to_toml(loaded)
    assert json.loads(to_json(loaded))["settings"]["mqtt"]["password"] == MASK


@pytest.mark.parametrize(
    "text",
    [
        f'mqtt.password = "{SECRET}"',
        f'mqtt.password = ["{SECRET}"]',
        f'mqtt.username = "a"\nmqtt.password = "{SECRET * 60}"',
        f'mqtt.username = "a"\nmqtt.password = "{SECRET}"\nmqtt.password_file = "x"',
        f'mqtt.pasword = "{SECRET}"',
        f'mqqt.password = "{SECRET}"',
        f'mqtt = "{SECRET}"',
        f'mqtt.username = "a"\nmqtt.password = "{SECRET}"\nmqtt.port = -1',
        f'mqtt.password = "{SECRET}" x',
        f"mqtt.password = {SECRET}",
    ],
)
def test_a_secret_is_in_no_refusal_and_no_traceback(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text)
    assert SECRET not in everything_told(lambda: load_config(file, None, NO_VARIABLES))


def test_settings_cannot_be_changed() -> None:
    config = Settings()
    with pytest.raises(ValidationError):
        config.mqtt.port = 5  # type: ignore[misc]


# The broker


@pytest.mark.parametrize(
    ("host", "tls", "local", "encrypted", "port"),
    [
        ("localhost", None, True, False, 1883),
        ("LOCALHOST", None, True, False, 1883),
        ("127.8.9.1", None, True, False, 1883),
        ("::1", None, True, False, 1883),
        ("/run/mosquitto.sock", None, True, False, 1883),
        ("unix:/run/mosquitto.sock", None, True, False, 1883),
        ("localhost", True, True, True, 8883),
        ("broker.lan", None, False, True, 8883),
        ("192.168.1.5", None, False, True, 8883),
        ("192.168.1.5", False, False, False, 1883),
        # a name that begins like a loopback address is a name
        ("127.0.0.1.example.org", None, False, True, 8883),
        ("localhost.example.org", None, False, True, 8883),
        ("0.0.0.0", None, False, True, 8883),
    ],
)
def test_encrypted_towards_everything_but_this_machine(
    host: str, tls: bool | None, local: bool, encrypted: bool, port: int
) -> None:
    mqtt = MqttSettings(host=host, tls=tls)
    assert (mqtt.local, mqtt.encrypted, mqtt.effective_port) == (local, encrypted, port)
    assert MqttSettings(host=host, tls=tls, port=7).effective_port == 7


def test_a_socket_is_told_by_its_path() -> None:
    assert MqttSettings(host="unix:/run/m.sock").unix_socket == Path("/run/m.sock")
    assert MqttSettings(host="broker").unix_socket is None
    assert "unix socket" in refused(overrides={"mqtt.host": "/run/m.sock", "mqtt.tls": True})


@given(hostname=st.text(max_size=80))
def test_any_host_name_makes_a_node(hostname: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: hostname)
        node = MqttSettings().node
        assert MqttSettings(node=node).node == node


def test_the_password_is_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "password"

    def password() -> str:
        return read_password(load_config(None, {"mqtt.username": "a", "mqtt.password_file": file}, NO_VARIABLES).mqtt)

    with pytest.raises(BrokerError, match=f"{file} cannot be read: No such file"):
        password()
    for content in (b"", b"\nsecond line\n"):
        file.write_bytes(content)
        with pytest.raises(BrokerError, match="is empty"):
            password()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BrokerError, match="not UTF-8"):
        password()
    file.write_text(f"{SECRET} \nsecond line\n")
    assert password() == f"{SECRET} "
    assert read_password(MqttSettings()) == ""
    assert (
        read_password(load_config(None, {"mqtt.username": "a", "mqtt.password": SECRET}, NO_VARIABLES).mqtt) == SECRET
    )


def test_flags_may_be_paths(tmp_path: Path) -> None:
    config = load_config(
        None, dict.fromkeys(("camera.source", "music.index", "paths.data_dir"), tmp_path), NO_VARIABLES
    )
    assert (config.camera.source, config.music.index, config.paths.data_dir) == (str(tmp_path), str(tmp_path), tmp_path)


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    config = load_config(
        None, {"paths.data_dir": "~/d", "models.face": "~/m/face", "camera.source": 2}, {"EMOMUSIC_MUSIC__INDEX": "~/i"}
    )
    assert config.paths.data_dir == Path("/home/anna/d")
    assert (config.models.face, config.music.index, config.camera.source) == ("/home/anna/m/face", "/home/anna/i", "2")


# What is written from the settings

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=30)
PATHS = WORDS.filter(lambda text: not text.startswith("~"))
VALUES: dict[str, st.SearchStrategy[object]] = {
    "camera.source": PATHS,
    "camera.width_px": st.integers(64, 7680),
    "loop.frames_per_second": st.floats(0.1, 60),
    "paths.cache_dir": PATHS,
    "models.samples": st.integers(1, 128),
    "models.scene": PATHS,
    "models.mask_seed": st.integers(0, 2**32 - 1),
    "fusion.variance_floor": st.floats(1e-6, 10),
    "stabilizer.gate_arousal": st.floats(1e-300, 100),
    "music.audio_dir": PATHS,
    "mode.mode": st.sampled_from([mode.value for mode in Mode]),
    "mode.manual_valence": st.floats(-3, 3),
    "player.muted": st.booleans(),
    "mqtt.username": WORDS,
    "mqtt.password": st.just(SECRET),
    "mqtt.tls": st.booleans(),
    "mqtt.ca_file": PATHS,
    "log.level": st.sampled_from(["debug", "WARNING"]),
}


@given(values=st.fixed_dictionaries({}, optional=VALUES))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_show_prints_reads_back_the_same_but_for_secrets(tmp_path: Path, values: dict[str, object]) -> None:
    if "mqtt.password" in values:
        values.setdefault("mqtt.username", "anna")
    loaded = load_with_origins(None, values, NO_VARIABLES)
    text = to_toml(loaded)
    assert SECRET not in text
    again = load_config(written(tmp_path, text), None, NO_VARIABLES)
    without_secret = load_config(None, {k: v for k, v in values.items() if k != "mqtt.password"}, NO_VARIABLES)
    assert again == without_secret
    document = json.loads(to_json(loaded))
    assert set(document["origins"]) == set(values)
    assert tomllib.loads(text)["log"] == document["settings"]["log"]


def test_show_tells_where_each_value_came_from(tmp_path: Path) -> None:
    file = written(tmp_path, "[mqtt]\n\nport = 5\n")
    loaded = load_with_origins(file, {"music.dwell_s": 6}, {"EMOMUSIC_PLAYER__VOLUME": "0.2"})
    lines = to_toml(loaded).splitlines()
    assert f"port = 5  # from {file}, line 3" in lines
    assert "volume = 0.2  # from EMOMUSIC_PLAYER__VOLUME" in lines
    assert "dwell_s = 6.0  # from a flag" in lines
    assert sum("# from" in line for line in lines) == 3


@given(text=st.text(st.characters(codec="utf-8")))
def test_text_written_as_toml_reads_back_the_same(text: str) -> None:
    assert tomllib.loads(f"x = {toml_value(text)}")["x"] == text


def test_the_example_sets_nothing_and_names_everything(repo: Path) -> None:
    file = repo / "systemd" / "config.example.toml"
    assert file.read_text(encoding="utf-8") == example_toml(), (
        "run: emomusic-edge config example > systemd/config.example.toml"
    )
    loaded = load_with_origins(file, None, NO_VARIABLES)
    assert loaded.settings == Settings()
    assert not loaded.origins


def test_each_line_of_the_example_works_when_its_hash_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = example_toml().splitlines()
    defaults = Settings()
    section = ""
    tried = []
    for number, line in enumerate(lines):
        section = line[1:-1] if line.startswith("[") else section
        match = re.fullmatch(r"# (\w+) = .*", line)
        if not match:
            continue
        key = f"{section}.{match[1]}"
        text = "\n".join([*lines[:number], line[2:], *lines[number + 1 :]])
        extra: dict[str, object] = {"mqtt.username": "anna"} if key.startswith("mqtt.password") else {}
        if key == "mqtt.client_key_file":
            extra = {"mqtt.client_cert_file": "device.pem"}
        loaded = load_with_origins(written(tmp_path, text), extra, NO_VARIABLES)
        assert key in loaded.origins
        setting = known_settings()[key]
        if not setting.about.example:
            assert value_of(loaded.settings, key) == value_of(defaults, key), f"{key} does not show its default"
        tried.append(key)
    assert tried == list(known_settings())


def test_the_reference_page_is_in_step(repo: Path) -> None:
    assert (repo / "docs" / "configuration.md").read_text(encoding="utf-8") == reference_markdown(), (
        "run: emomusic-edge config reference > docs/configuration.md"
    )


@pytest.mark.parametrize("setting", known_settings().values(), ids=lambda s: s.key)
def test_every_setting_is_described_on_one_line(setting: Setting) -> None:
    assert re.fullmatch(r"[^\n|]{8,110}\.", setting.meaning)
    assert "|" not in setting.expected + setting.default_text
    assert setting.key.split(".")[1].isidentifier()
    if setting.optional:
        assert setting.about.example, "an unset setting needs an example to show"
    if setting.name.endswith(UNITS):
        assert setting.unit


def test_documented_gate_is_the_one_used() -> None:
    assert f"else {DEFAULT_GATE:g}" in known_settings()["stabilizer.gate_valence"].default_text


def test_importing_the_settings_does_not_import_pydantic_settings() -> None:
    code = (
        "import sys; from emomusic_edge.config import load_config; load_config(environ={});"
        "print([m for m in ('pydantic_settings', 'cv2', 'onnxruntime', 'scipy', 'pygame') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"
