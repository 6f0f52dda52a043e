"""Tests of trunkline.calls: the tables by themselves, and whole calls on the virtual network."""
