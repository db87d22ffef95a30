"""One module per outside system; each library of the field is imported in one of them only."""
