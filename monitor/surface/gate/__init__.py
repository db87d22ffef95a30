"""Gates as outsiders see them: one JSON document, and every other form made from it."""
