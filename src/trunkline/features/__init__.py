"""Ready-made behaviour on top of the public API alone: whoever wants it otherwise copies the file and changes it."""
