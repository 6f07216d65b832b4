"""The rehearsal in one process, on virtual time: the product's own code, the simulator and the crowd, without sockets.

An hour of waiting passes as fast as its work can be computed, in the same order and with the same figures on every run.
"""
