"""An evening in a second: series of affect, the music's logic driven over them, and what it played, in figures."""
