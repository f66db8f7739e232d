"""A network learns from another one."""
