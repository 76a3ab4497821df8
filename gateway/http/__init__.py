"""HTTP values: request heads, headers, forms, our own responses. Nothing here waits or decides."""
