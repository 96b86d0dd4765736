"""A worker's composition root: settings, pools, activities, Worker. No logic. ``python worker.py`` runs one."""
