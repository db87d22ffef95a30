"""What an audit of sending domains says: one JSON document, and the forms that are drawn from it. Import the modules themselves: the daemon
needs the document alone, and does without rich."""
