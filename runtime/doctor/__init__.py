"""Looks at a machine before, or instead of, a run: what works, what does not, what that means, what mends it.

    Setup -> one look for each subject -> Finding ... -> a page for people, or one JSON document

A look is a function from a Setup to findings, in a module of its own; it asks what the run would ask, changes nothing,
and is kept in bounds by the examination around it.
"""
