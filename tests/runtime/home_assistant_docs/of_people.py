"""Which entities tell of people."""

OF_PEOPLE = frozenset(
    {
        *("valence", "arousal", "mood", "uncertainty", "held", "face_present"),
        *("song", "mood_valence", "mood_arousal"),
    }
)
"""What was felt, whom the camera sees, the song that follows it, the mood that was wished for."""
