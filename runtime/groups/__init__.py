"""Several nodes that play the same song, or to the same mood: who leads, how the clocks differ, what is played."""
