"""What is asked, and may they: canonical paths, routes, decisions. All pure."""
