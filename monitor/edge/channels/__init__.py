"""Ways to tell people of an incident, one module each: ports.Channel."""
