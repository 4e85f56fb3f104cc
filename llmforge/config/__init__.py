"""The settings of a run: schema, YAML with positions, overrides with origins, rules across sections."""
