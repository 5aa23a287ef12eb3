"""What a user tries against another and the system; each works where nothing is against it."""
