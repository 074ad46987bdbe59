"""The choice of the song: the rule, what likes and skips taught, and the way that `guide` goes."""
