"""Planning a rush before it comes: which limit is the wall, how long people wait, what would move it, what it costs."""
