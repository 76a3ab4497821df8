"""Key sets: which keys each configured user pool signs with, and when they are fetched."""
