"""Ingestions that survive the process that began them, and what else is done to whole collections."""
