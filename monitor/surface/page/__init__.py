"""The status page at `/`: server-rendered, readable without JavaScript, live with it."""
