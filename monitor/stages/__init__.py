"""One loop per stage: plan -> submit -> watch -> judge. A stage never calls a stage: it appends facts, the next one is woken by them."""
