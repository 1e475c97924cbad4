"""A fleet of our own making: pods and nodes with labelled trouble among ordinary life."""
