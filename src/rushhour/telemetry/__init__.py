"""Sinks: flow events become metrics and logs."""
