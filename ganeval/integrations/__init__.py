"""ganeval inside other frameworks; each module needs its framework, and nothing else of ganeval imports them."""
