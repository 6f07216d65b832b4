"""The HTTP door: OpenAI-shaped API, console page, health and metrics."""
