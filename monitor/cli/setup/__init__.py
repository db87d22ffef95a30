"""The parts of `mailcanary init`: what is asked, what is tried, what is written."""
