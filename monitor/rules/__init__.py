"""Pure decisions: (view, facts, policy, now) -> new facts with a reason. No I/O, no clock, no randomness."""
