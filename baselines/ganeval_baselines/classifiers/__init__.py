"""Reference classifiers, one file each, holding only what differs; each is an extractor too."""
