"""Pure arithmetic of flow control: the time is an argument, nothing waits here."""
