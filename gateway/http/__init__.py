"""HTTP as values: request heads, headers, forms, responses of our own. Nothing here waits or decides."""
