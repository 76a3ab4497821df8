"""Where the parts meet and run: composition root, worker process, metrics listener, demo."""
