"""The blameless report of one incident: one JSON document, and every other form made from it."""
