"""Finding faces and choosing the primary one. Imports nothing: the detectors bring packages of their own."""
