"""The record: what every variable of a program is, and the nodes seen so far."""
