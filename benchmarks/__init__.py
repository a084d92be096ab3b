"""How fast tidings is, beside what the same machine does without it. See the README here."""
