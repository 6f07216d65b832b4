"""What can be ingested, and where it comes from: files, folders, archives, addresses, standard input."""
