"""`python -m monitor.settings > config/mailcanary.schema.json`"""

import sys

from monitor.settings.published import json_schema

sys.stdout.write(json_schema())
