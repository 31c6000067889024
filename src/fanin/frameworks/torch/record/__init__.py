"""The record: what every tensor of a run is, and the nodes seen so far."""
