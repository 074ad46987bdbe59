"""The composition root: builds the concrete parts from the settings, starts them in order, stops them in reverse."""

from .models import engine_makers
from .service import App, RunPlan
from .sound import music_of
from .steadying import stabilizer_of

__all__ = ["App", "RunPlan", "engine_makers", "music_of", "stabilizer_of"]
