"""What the models are held against: each module is one worker process, run by an environment of its own.

A worker reads one JSON object a line from its standard input and answers each with one; `worker.serve` is that. It is
started as `python -m peers.NAME INPUTS` with benchmarks/ on the path and needs what its environment holds, numpy and
this folder alone; those that run emomusic_edge itself are started by the project's own environment.
"""
