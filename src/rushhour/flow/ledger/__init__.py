"""Quota state, in this process or shared: who may send how much, and when."""
