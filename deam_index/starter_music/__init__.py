"""Starter music: pieces composed and synthesised by this package, so that a machine without any audio has some.

`plan.py` (what pieces, where in the plane) -> `cues.py` (what affect asks of the music) -> `composition.py` (notes) ->
`rendering.py` (sound) -> `mastering.py` (equal loudness) -> `make.py` (files and their index).
"""
