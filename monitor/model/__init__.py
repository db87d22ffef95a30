"""The vocabulary: frozen values and closed enums. Imports nothing of the project; does no I/O; knows no clock."""
