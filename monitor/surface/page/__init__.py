"""The status page at `/`: server-rendered, readable without JavaScript, live with it. Drawn from the JSON documents and nothing else."""

from monitor.surface.page.assets import ASSETS, Asset
from monitor.surface.page.render import login, overview, story, trouble

__all__ = ["ASSETS", "Asset", "login", "overview", "story", "trouble"]
