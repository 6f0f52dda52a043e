"""Races and faults on the virtual network and clock."""
