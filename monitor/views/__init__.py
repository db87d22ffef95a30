"""Pure folds of facts into state. A view depends on nothing but the facts, in order; its one owner folds it in place."""
