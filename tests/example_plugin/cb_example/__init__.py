"""One technique, one dataset, one metric and one network. Nothing is imported until a recipe names it."""
